"""In a process of its own: what is set cannot be taken back."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

COUNT = """
import ctypes, threading
from service.heap import share_heap

share_heap()
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
begun, go = threading.Barrier(9), threading.Event()

def take():
    begun.wait()
    for _ in range(100):
        assert library.malloc(1000)
    go.wait()

threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads:
    thread.start()
begun.wait()
go.set()
for thread in threads:
    thread.join()
library.malloc_info(0, ctypes.c_void_p.in_dll(library, "stdout"))
library.fflush(None)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="this C library has no such heaps")
def test_threads_share_one_heap() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    assert done.stdout.count("<heap nr=") == 1
