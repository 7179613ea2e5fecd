"""Every parser reads or refuses whatever it is given: the kept corpus, mutants of it, and a little of atheris."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import REPOSITORY
from tests.fuzz.campaign import run, summary
from tests.fuzz.kept import CORPUS, inputs_of
from tests.fuzz.mutation import LONGEST, mutants
from tests.fuzz.seeds import seeds

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = sorted(path.name for path in CORPUS.iterdir())
MUTANTS = 40


@pytest.fixture(scope="module")
def replayed() -> dict[str, dict[str, Any]]:
    """What each target made of its corpus and of some mutants, in a process with little memory."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.replay", "--mutants", str(MUTANTS)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["target"]: line for line in told}


def test_every_target_has_its_seeds(replayed: dict[str, dict[str, Any]]) -> None:
    assert sorted(replayed) == sorted(seeds()) == TARGETS
    for target, made in seeds().items():
        kept = inputs_of(target)
        assert made.keys() <= kept.keys()
        assert all(name in made or name.startswith("found-") for name in kept)
        assert all(len(data) <= LONGEST for data in kept.values())


@pytest.mark.parametrize("target", TARGETS)
def test_any_bytes_are_read_or_refused(target: str, replayed: dict[str, dict[str, Any]]) -> None:
    assert replayed[target]["failed"] == {}
    assert replayed[target]["inputs"] == len(inputs_of(target)) + MUTANTS


def test_mutants_are_the_same_for_the_same_seed() -> None:
    kept = [b"one", b"another", b"x" * 2 * LONGEST]

    def made(seed: int) -> list[bytes]:
        return list(mutants(kept, [b"word"], 200, Random(seed)))

    assert made(1) == made(1) != made(2)
    assert len(set(made(1))) > 150
    assert max(map(len, made(1))) <= LONGEST
    assert list(mutants([], [], 3, Random(1)))


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_a_little_of_atheris(tmp_path: Path) -> None:
    """The campaign's own way to run a target, for a second; more of it: make fuzz."""

    done = run("words", 1, tmp_path, {})
    assert done.returncode == 0, done.stderr[-3000:]
    assert "DONE" in summary(done.stderr.splitlines())[0]
    assert any((tmp_path / "corpus" / "words").iterdir())  # it saw branches that the seeds do not take
