"""One target under atheris: `python -m tests.fuzz.guided TARGET [libFuzzer's options and folders]`.

atheris watches which branches of the service an input takes, and keeps what takes new ones. What numba has compiled
it can't watch: with NUMBA_DISABLE_JIT=1 the same loops run as Python, hundreds of times slower, but watched;
without, they run as they are shipped, on what was found before and on mutants of it.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.fuzz.kept import inputs_of

REPOSITORY = Path(__file__).resolve().parents[2]


def compiled_modules() -> list[str]:
    """Return the names of the modules that numba compiles, which can't be watched then."""
    files = (path.relative_to(REPOSITORY).with_suffix("") for path in REPOSITORY.glob("service/**/*.py"))
    return [".".join(file.parts) for file in files if "kernels" in file.parts]


def main() -> None:
    """Run until libFuzzer ends; it leaves the process at a finding."""
    name, options = sys.argv[1], sys.argv[2:]
    atheris = importlib.import_module("atheris")  # not on every machine
    as_python = os.environ.get("NUMBA_DISABLE_JIT") == "1"
    with atheris.instrument_imports(include=["service"], exclude=[] if as_python else compiled_modules()):
        targets = importlib.import_module("tests.fuzz.targets")
    target = targets.TARGETS[name]
    targets.use_small_buffers()
    np.seterr(over="ignore")  # wanted in hashes where loops are not compiled
    with tempfile.TemporaryDirectory(prefix="yocho-fuzz-") as folder:
        file = Path(folder) / "input"
        for data in inputs_of(
            name
        ).values():  # compiles what is not yet compiled, which takes longer than an input may
            target.run(data, file)
        atheris.Setup([sys.argv[0], *options], lambda data: target.run(data, file))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
