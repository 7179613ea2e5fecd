from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from service.errors import FullError
from service.pipeline import PipelineSpec
from service.work.warm import warm_up_apart
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

LOADED = """
import gc, sys
from pathlib import Path
from numba.core.registry import CPUDispatcher
from service.pipeline import Pipeline, PipelineSpec
from service.store.memory import MemoryStore
from service.work.warm import warm_up

def loaded():
    return {
        (each.py_func.__module__, each.py_func.__qualname__, str(signature))
        for each in gc.get_objects() if isinstance(each, CPUDispatcher) for signature in each.overloads
    }

warm_up(PipelineSpec())
before = loaded()
Pipeline(PipelineSpec(), MemoryStore(most_windows=1)).accept_capture(Path(sys.argv[1]), "lab")
print(len(before), sorted(loaded() - before))
"""


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        check=True, timeout=300, capture_output=True, text=True, cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    return done.stdout.strip()


def test_after_it_an_upload_compiles_nothing(example: Path) -> None:
    number, rest = run(LOADED, str(example)).split(" ", 1)
    assert int(number) > 40
    assert rest == "[]"


def nothing(_: PipelineSpec) -> None:
    pass


def full(_: PipelineSpec) -> None:
    raise FullError("no room")


def die(_: PipelineSpec) -> None:
    os._exit(7)


# Forked from this process, which has other threads; a worker has none yet.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_what_goes_wrong_is_said_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    assert warm_up_apart(PipelineSpec(), nothing)
    assert not caplog.records
    for wrong, code in ((full, 1), (die, 7)):
        assert not warm_up_apart(PipelineSpec(), wrong)
        assert caplog.records[-1].__dict__["code"] == code


SLEEPS = """
import os, sys, time
from service.pipeline import PipelineSpec
from service.work.warm import warm_up_apart

def sleep(_):
    print(os.getpid(), flush=True)
    time.sleep(600)

warm_up_apart(PipelineSpec(), sleep)
"""


def test_it_ends_with_the_process_that_waits_for_it() -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPS], stdout=subprocess.PIPE, cwd=REPOSITORY, env=environment
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        end = time.monotonic() + 60
        # Its end of the pipe is closed when it is gone.
        while process.stdout.readline():
            assert time.monotonic() < end
    assert child != process.pid
