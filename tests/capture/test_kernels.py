"""Cached machine code must not outlive the code that it was made from."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path

import pytest

import service.capture.kernels
import service.windows.kernels

PACKAGES = (service.capture.kernels, service.windows.kernels)
FILES = {
    f"{package.__name__}.{path.stem}": path
    for package in PACKAGES
    for path in sorted(Path(str(package.__file__)).parent.glob("*.py"))
    if path.stem not in {"__init__", "hashing"}
}


def built_on(name: str) -> list[str]:
    """Return the kernel files that `name` takes compiled code or constants from, and those that they do."""
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    parts = imported & FILES.keys()
    return sorted(parts.union(*(built_on(part) for part in parts)))


@pytest.mark.parametrize("name", sorted(name for name in FILES if built_on(name)))
def test_a_file_that_uses_other_kernel_files_names_what_it_was_built_on(name: str) -> None:
    sources = "".join(FILES[part].read_text(encoding="utf-8") for part in built_on(name))
    digest = hashlib.sha256(sources.encode()).hexdigest()[:16]
    wanted = f'BUILT_ON = "{digest}"'
    assert wanted in FILES[name].read_text(encoding="utf-8"), f"write {wanted} into {FILES[name].name}"
