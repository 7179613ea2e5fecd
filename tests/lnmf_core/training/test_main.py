import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from lnmf_core import ParameterError
from lnmf_core.training import __main__ as command


def plugged_in(monkeypatch: pytest.MonkeyPatch, outcome: int | Exception) -> list[list[str]]:
    seen: list[list[str]] = []

    def main(arguments: list[str]) -> int:
        seen.append(arguments)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    module = ModuleType("plugged")
    module.main = main  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "plugged", module)
    monkeypatch.setitem(command.RULES, "mlp", "plugged")
    return seen


@pytest.mark.parametrize("arguments", [[], ["--help"], ["nothing", "--seed", "1"]])
def test_what_is_no_rule_gets_the_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    assert "{choice,damping,mlp,momentum}" in capsys.readouterr().err


def test_the_rule_gets_its_own_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = plugged_in(monkeypatch, 0)
    assert command.main(["mlp", "--seed", "1"]) == 0
    assert seen == [["--seed", "1"]]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ParameterError("seed is -1"), "seed is -1\n"),
        (ModuleNotFoundError("no", name="torch"), "torch is missing: install it with pip install 'yocho[train]'\n"),
    ],
)
def test_failures_are_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, told: str
) -> None:
    plugged_in(monkeypatch, error)
    assert command.main(["mlp"]) == 1
    assert capsys.readouterr().err == told


def test_it_runs_as_a_command(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = [
        "--samples",
        "20",
        "--batch",
        "10",
        "--hidden",
        "2",
        "--output",
        str(tmp_path),
        "--directory",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "lnmf_core.training", "mlp", *options], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "mlp.json").exists()
