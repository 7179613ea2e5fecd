from __future__ import annotations

import itertools

import numpy as np
import pytest

from lnmf_core import JointGaussNewton
from lnmf_core.training.damping import ITERATIONS, Group, candidates, judged, main, tasks

TINY = Group("tiny", ((12, 10, 2),), 1)


def test_a_rule_is_judged_by_time_and_by_how_often_it_arrives() -> None:
    ticks = itertools.count()
    patient = JointGaussNewton(sweeps=1)
    figures = judged(TINY, [JointGaussNewton(), patient], np.random.default_rng(0), lambda: float(next(ticks)))
    assert all(0 <= arrived <= 1 for _, arrived in figures)
    errors = [np.array(task.errors(patient)) for task in tasks(TINY, np.random.default_rng(0))]
    assert all(len(each) <= ITERATIONS + 1 for each in errors)


def test_equal_seeds_give_equal_candidates_and_the_rule_as_it_is_comes_first() -> None:
    first, again = (candidates(3, np.random.default_rng(1)) for _ in range(2))
    assert first == again
    assert first[0] == JointGaussNewton()
    assert len(first) == 4


def test_the_command_prints_the_best(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lnmf_core.training.damping.GROUPS", (TINY,))
    assert main(["--candidates", "2"]) == 0
    assert "tiny" in capsys.readouterr().out
