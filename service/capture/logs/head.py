"""The first lines of a file, by which its kind is recognised."""

from __future__ import annotations


def first_lines(head: bytes) -> list[str]:
    """Return the lines of the first bytes of a text that aren't empty; the last one may be cut."""
    texts = head.decode("utf-8", "replace").removeprefix("\ufeff").split("\n")
    return [text.rstrip("\r") for text in texts if text and not text.isspace()]
