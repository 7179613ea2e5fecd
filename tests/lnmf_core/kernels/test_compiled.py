"""Cached machine code must not outlive the code that it was made from."""

import ast
import hashlib
from pathlib import Path

import pytest

import lnmf_core.kernels

FOLDER = Path(lnmf_core.kernels.__file__).parent
FILES = {path.stem: path for path in FOLDER.glob("*.py") if path.stem != "__init__"}


def built_on(name: str) -> list[str]:
    """Return the kernel files that `name` takes compiled code or constants from, and those that they do."""
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    parts = {
        (node.module or "").removeprefix("lnmf_core.kernels.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lnmf_core.kernels.")
    }
    return sorted(parts.union(*(built_on(part) for part in parts)))


@pytest.mark.parametrize("name", sorted(name for name in FILES if set(built_on(name)) - {"compiled"}))
def test_a_file_that_calls_kernels_of_others_names_what_it_was_built_on(name: str) -> None:
    sources = "".join(FILES[part].read_text(encoding="utf-8") for part in built_on(name))
    digest = hashlib.sha256(sources.encode()).hexdigest()[:16]
    wanted = f'BUILT_ON = "{digest}"'
    assert wanted in FILES[name].read_text(encoding="utf-8"), f"write {wanted} into {FILES[name].name}"
