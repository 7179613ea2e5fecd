from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from service.calibrate import BUDGETS, calibrate
from service.pipeline import PipelineSpec
from service.windows.assign import SECOND, WindowSpec
from tests.conftest import Run


@pytest.fixture(scope="module")
def flows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five days of strangers at usual services, and on the last of them a group at another one."""
    chance = np.random.default_rng(5)
    rows = []
    for minute in range(0, 5 * 1440, 2):
        source = f"198.51.{chance.integers(100)}.{chance.integers(1, 255)}"
        port = (22, 23, 445, 1433)[int(chance.integers(4))]
        rows.append((minute * 60, source, f"10.0.0.{chance.integers(1, 10)}", port))
    rows += [
        (4 * 86_400 + 36_000 + 90 * i, f"203.0.113.{i % 12 + 1}", f"10.0.0.{i % 9 + 1}", 9527) for i in range(36)
    ]
    path = tmp_path_factory.mktemp("flows") / "flows.csv"
    lines = [f"{1_700_006_400 + at},{source},{target},tcp,{port},0" for at, source, target, port in sorted(rows)]
    path.write_text("time,src_ip,dst_ip,proto,dst_port,answered\n" + "\n".join(lines) + "\n")
    return path


def test_a_larger_budget_lets_no_less_through(flows: Path) -> None:
    spec = PipelineSpec(log_windows=WindowSpec.usual(600 * SECOND))
    found = calibrate([flows], spec)
    assert found.days == pytest.approx(5.0, abs=0.1)
    assert [each.budget for each in found.budgets] == list(BUDGETS)
    groups = [each.groups for each in found.budgets]
    assert groups == sorted(groups)
    assert groups[0] >= 1
    assert all(sum(each.by_length.values()) == each.groups for each in found.budgets)
    assert sum(groups for _, groups in found.by_day.values()) == groups[-1]


def test_a_table_and_a_picture(yocho: Run, flows: Path, tmp_path: Path) -> None:
    run = yocho("calibrate", str(flows), "--picture", str(tmp_path / "days.html"))
    assert run.returncode == 0, run.stderr
    assert "1 in 30 days" in run.stdout
    assert "5.0 days of traffic; 0 alerts on single sources" in run.stdout
    assert "<html" in (tmp_path / "days.html").read_text(encoding="utf-8")[:200]
