"""The kept corpus: a folder for each target, a file for each input.

`tests.fuzz.seeds` writes most of them. Files whose names begin with ``found-`` once broke something.
"""

from __future__ import annotations

from pathlib import Path

CORPUS = Path(__file__).resolve().parent / "corpus"


def inputs_of(target: str) -> dict[str, bytes]:
    """Return the kept inputs of a target by name, in the order of their names."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / target).iterdir())}
