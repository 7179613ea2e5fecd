from __future__ import annotations

import subprocess
import sys

from tests.conftest import REPOSITORY

SCRIPT = """
import numba
from numba.core import caching

class Nowhere:
    @classmethod
    def from_function(cls, function, path):
        return None

caching.CompileResultCacheImpl._locator_classes = [Nowhere]
from service.compiled import compiled

@compiled
def double(value):
    return 2 * value

print(double(21), double.signatures != [])
"""


def test_where_nothing_can_be_cached_it_is_compiled_all_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=True
    )
    assert done.stdout.split() == ["42", "True"]
