"""Throws the kept corpus, and mutants of it, at the targets: `python -m tests.fuzz.replay --mutants 100`.

One line of JSON a target: how many inputs it read, and those that broke it, in hexadecimal digits. Memory is
bounded; an input that takes too long ends the process, with the place on standard error.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import resource
import sys
import tempfile
import warnings
from pathlib import Path
from random import Random

import numpy as np

from tests.fuzz.kept import inputs_of
from tests.fuzz.mutation import mutants
from tests.fuzz.targets import TARGETS, use_small_buffers

ROOM = 1 << 29
"""Bytes of addresses that a target may take, above what the process holds before."""
PATIENCE = 60
"""Seconds after which an input takes too long."""


def main() -> None:
    """Replay the targets that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target", help=", ".join(TARGETS))
    parser.add_argument("--mutants", type=int, default=0, help="of each target's corpus")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("error")
    use_small_buffers()
    names = options.targets or list(TARGETS)
    with tempfile.TemporaryDirectory(prefix="yocho-fuzz-") as folder:
        file = Path(folder) / "input"
        for name in names:  # compiles and imports, which takes more room than reading
            TARGETS[name].run(next(iter(inputs_of(name).values())), file)
        _bound_memory()
        for name in names:
            sys.stdout.write(json.dumps(replay(name, options.mutants, options.seed, file)) + "\n")
            sys.stdout.flush()


def replay(name: str, count: int, seed: int, file: Path) -> dict[str, object]:
    """Throw a target's corpus and so many mutants at it."""
    target, kept = TARGETS[name], inputs_of(name)
    made = mutants(list(kept.values()), target.words, count, Random(f"{name} {seed}"))
    inputs = [*kept.items(), *((f"mutant {number}", data) for number, data in enumerate(made))]
    failed = {}
    for called, data in inputs:
        faulthandler.dump_traceback_later(PATIENCE, exit=True)
        try:
            with np.errstate(over="ignore"):  # wanted in hashes where loops are not compiled
                target.run(data, file)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is a finding)
            failed[called] = {"error": f"{type(error).__name__}: {error}"[:300], "input": data.hex()}
        finally:
            faulthandler.cancel_dump_traceback_later()
    return {"target": name, "inputs": len(inputs), "failed": failed}


def _bound_memory() -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))


if __name__ == "__main__":
    main()
