"""Fuzzes every parser: `make fuzz`, or `python -m tests.fuzz.campaign --seconds 60 --targets pcap zeek`.

Each target runs under atheris in a process of its own, twice if it reads in compiled loops: first with these as
Python, so that their branches are watched, then as they are shipped but with each index checked. What takes new
branches is kept from one campaign to the next in build/fuzz/corpus. What breaks a target is saved in
build/fuzz/findings: put it into tests/fuzz/corpus under a name that begins with ``found-``, then mend the parser.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPOSITORY
from tests.fuzz.kept import CORPUS
from tests.fuzz.mutation import LONGEST
from tests.fuzz.targets import TARGETS

BUILD = REPOSITORY / "build" / "fuzz"
MEMORY = 2048
"""Megabytes that a target may take; numba and numpy take some hundred of them."""
PATIENCE = 20
"""Seconds after which an input takes too long."""

AS_PYTHON = {"NUMBA_DISABLE_JIT": "1"}
CHECKED = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(BUILD / "numba")}


def main() -> None:
    """Run the campaign; the exit status is 1 if something broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=30, help="for each target")
    parser.add_argument("--targets", nargs="+", choices=list(TARGETS), default=list(TARGETS))
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        raise SystemExit("atheris is not installed: python -m pip install --constraint constraints.txt '.[fuzz]'")
    broken = [name for name in options.targets if not fuzz(name, options.seconds)]
    sys.stdout.write(f"{len(options.targets) - len(broken)} of {len(options.targets)} targets hold\n")
    if broken:
        raise SystemExit(f"broken: {', '.join(broken)}; see {BUILD / 'findings'}")


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz a target for so many seconds; return whether it held."""
    target = TARGETS[name]
    ways = [AS_PYTHON, CHECKED][target.unpacks :] if target.loops else [{}]
    holds = True
    for way in ways:
        done = run(name, max(1, seconds // len(ways)), BUILD, way)
        told = done.stderr.splitlines()
        sys.stdout.write(f"{name:16} {' '.join(way) or 'as it is':38} {(summary(told) or ['broke off'])[0]}\n")
        sys.stdout.flush()
        if done.returncode:
            holds = False
            sys.stdout.write("\n".join(told[-40:]) + "\n")
    return holds


def summary(lines: list[str]) -> list[str]:
    """Return libFuzzer's last words: how many inputs, and how many branches they took."""
    return [line.strip() for line in lines if "DONE" in line][-1:]


def run(name: str, seconds: int, folder: Path, way: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a target under atheris, beginning with the kept corpus; findings and branches go below a folder."""
    grown, findings = folder / "corpus" / name, folder / "findings" / name
    grown.mkdir(parents=True, exist_ok=True)
    findings.mkdir(parents=True, exist_ok=True)
    words = folder / f"{name}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in TARGETS[name].words))
    options = {
        "max_total_time": seconds,
        "max_len": LONGEST,
        "timeout": PATIENCE,
        "rss_limit_mb": MEMORY,
        "artifact_prefix": f"{findings}/",
        "dict": words,
        "seed": 1,
    }
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.guided",
        name,
        *(f"-{key}={value}" for key, value in options.items()),
    ]
    return subprocess.run(
        [*command, str(grown), str(CORPUS / name)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | way,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
