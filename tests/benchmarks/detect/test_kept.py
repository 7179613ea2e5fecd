from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.core.results import ResultError
from benchmarks.detect.kept import Found, Kept
from benchmarks.detect.trials import Outcome

FOUND: Found = [(3, {"Yocho": Outcome(found=True, f1=0.9)}), (3, {"Yocho": Outcome(found=False, f1=0.0)})]


def test_a_run_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    first = Kept(path)
    assert first.read({"trials": 2}) == {}
    first.add(7, FOUND)
    with path.open("a") as file:
        file.write('{"at": 8, "fou')
    second = Kept(path)
    assert second.read({"trials": 2}) == {7: FOUND}
    second.add(8, FOUND)
    assert Kept(path).read({"trials": 2}) == {7: FOUND, 8: FOUND}


def test_another_run_is_refused(tmp_path: Path) -> None:
    Kept(tmp_path / "kept.jsonl").read({"trials": 2})
    with pytest.raises(ResultError, match="something else"):
        Kept(tmp_path / "kept.jsonl").read({"trials": 3})


def test_without_a_file_nothing_is_kept() -> None:
    Kept(None).add(1, FOUND)
    assert Kept(None).read({}) == {}
