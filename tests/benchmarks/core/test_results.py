from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.core import results

RATIOS = st.lists(st.floats(0.01, 100), min_size=3, max_size=30)


@given(RATIOS)
def test_the_interval_holds_the_mean_and_lies_within_the_ratios(ratios: list[float]) -> None:
    found = results.geometric_mean(ratios, np.random.default_rng(0))
    assert min(ratios) <= found.low * (1 + 1e-9)
    assert found.high <= max(ratios) * (1 + 1e-9)
    assert found.mean == pytest.approx(math.exp(sum(map(math.log, ratios)) / len(ratios)))
    assert found.count == len(ratios)


def test_the_interval_is_the_normal_one_where_there_is_much() -> None:
    logs = np.random.default_rng(1).normal(0.2, 0.5, 400)
    found = results.geometric_mean(np.exp(logs).tolist(), np.random.default_rng(2))
    half = 1.96 * logs.std() / math.sqrt(len(logs))
    assert math.log(found.low) == pytest.approx(logs.mean() - half, abs=0.01)
    assert math.log(found.high) == pytest.approx(logs.mean() + half, abs=0.01)


def test_so_few_ratios_have_no_interval() -> None:
    found = results.geometric_mean([2.0, 8.0], np.random.default_rng(0))
    assert found.mean == pytest.approx(4.0)
    assert math.isnan(found.low)
    assert str(found) == "4.00"
    assert str(results.geometric_mean([], np.random.default_rng(0))) == "–"


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.inf, math.nan])
def test_a_run_that_never_arrived_is_no_ratio(ratio: float) -> None:
    with pytest.raises(ValueError, match="never arrived"):
        results.geometric_mean([1.0, ratio], np.random.default_rng(0))


def test_a_share_has_the_interval_of_wilson() -> None:
    found = results.share(8, 10)
    assert (found.low, found.high) == pytest.approx((0.490, 0.943), abs=5e-4)
    assert str(found) == "80 % (49–94)"


@given(st.integers(1, 500), st.data())
def test_a_share_lies_in_its_interval(total: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, total))
    found = results.share(count, total)
    assert 0 <= found.low <= found.mean <= found.high <= 1


@pytest.mark.parametrize(("count", "total"), [(0, 0), (-1, 3), (4, 3)])
def test_more_than_all_is_no_share(count: int, total: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        results.share(count, total)


def test_a_library_without_its_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in results.THREADS:
        monkeypatch.setenv(name, "1")
    results.require_one_thread()
    monkeypatch.delenv("MKL_NUM_THREADS")
    with pytest.raises(SystemExit, match=r"^set MKL_NUM_THREADS=1: "):
        results.require_one_thread()


def test_what_is_saved_is_loaded_and_is_strict_json(tmp_path: Path) -> None:
    results.save(tmp_path / "new", "some", {"a": (1.5, math.nan), "b": [{"c": math.inf}]}, ["# Some", ""])
    assert results.load(tmp_path / "new", "some") == {"a": [1.5, None], "b": [{"c": None}]}
    assert (tmp_path / "new" / "some.md").read_text() == "# Some\n"


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(results.ResultError, match=r"speed\.json is missing: run python -m benchmarks\.core\.speed"):
        results.load(tmp_path, "speed")
    (tmp_path / "speed.json").write_text('{"rows": ')
    with pytest.raises(results.ResultError, match=r"speed\.json is no JSON"):
        results.load(tmp_path, "speed")


def test_a_table_has_rows_as_wide_as_its_header() -> None:
    assert results.table(("a", "b"), [("1", "2")]) == ["| a | b |", "|---|---|", "| 1 | 2 |"]
    with pytest.raises(ValueError, match="has 1 cells"):
        results.table(("a", "b"), [("1",)])


def test_the_machine_is_told_without_packages_that_are_not_there() -> None:
    about = results.machine(("numpy", "no-such-package"))
    assert list(about["versions"]) == ["numpy"]
    assert np.__version__ in results.machine_line(about)
    json.dumps(about, allow_nan=False)
