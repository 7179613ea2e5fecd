from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from numba.core import codegen

from service.loaded import LeanLibrary, hold_no_modules
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

LOOPS = """
from service.compiled import compiled

@compiled
def inner(value):
    return 2 * value

@compiled
def outer(value):
    return inner(value) + 1
"""
ASK = """
import loops
print({asked}, [bool(found.library._shared_module) for found in loops.inner.overloads.values()])
"""


def ask(folder: Path, asked: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", ASK.format(asked=asked)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=folder,
        env={
            **os.environ,
            "NUMBA_CACHE_DIR": str(folder / "cache"),
            "PYTHONPATH": os.pathsep.join((str(folder), str(REPOSITORY))),
        },
    )
    return done.stdout.strip()


def test_a_loop_from_the_cache_holds_no_module_and_others_can_still_be_compiled_with_it(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text(LOOPS)
    assert ask(tmp_path, "loops.inner(21)") == "42 [True]"  # compiled: numba goes on holding it
    assert ask(tmp_path, "loops.inner(21), loops.outer(21)") == "42 43 [False]"
    assert ask(tmp_path, "loops.outer(21), loops.inner(21)") == "43 42 [False]"


def test_this_numba_lets_them() -> None:
    assert hold_no_modules()


def test_a_numba_with_other_names_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other:
        _library_class = int

    monkeypatch.setattr(codegen, "JITCPUCodegen", Other)
    assert not hold_no_modules()
    assert Other._library_class is int
    monkeypatch.delattr(codegen, "JITCPUCodegen")
    assert not hold_no_modules()
    assert LeanLibrary._bitcode is None
