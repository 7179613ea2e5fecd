"""Which format an Accept header asks for (RFC 9110, 12.5.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.export.formats import Format

_MOST_RANGES = 32
"""Ranges of a header that are read; browsers send fewer than ten."""
_LONGEST = 4096
"""Characters of a header that are read."""
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105  (RFC 9110, 5.6.2)
_RANGE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_QUALITY = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class _Range:
    """A media range: what it takes, and how welcome that is."""

    kind: str
    subtype: str
    parameters: frozenset[tuple[str, str]]
    quality: float

    @property
    def specificity(self) -> tuple[bool, bool, int]:
        return self.kind != "*", self.subtype != "*", len(self.parameters)

    def takes(self, media: _Range) -> bool:
        return (
            self.kind in ("*", media.kind)
            and self.subtype in ("*", media.subtype)
            and self.parameters <= media.parameters
        )


def negotiate(accept: str | None) -> Format | None:
    """Return the format that an Accept header likes best, or None if it takes none.

    Of each format the most specific range that takes it says how welcome it is; of equally welcome ones the first
    of `Format` is meant, and so is it where there is no header. What is no media range takes nothing.
    """
    if accept is None or not accept.strip():
        return Format.JSON
    ranges = [each for text in accept[:_LONGEST].split(",")[:_MOST_RANGES] if (each := _parse(text))]
    best, liked = None, 0.0
    for form in Format:
        quality = _quality(form, ranges)
        if quality > liked:
            best, liked = form, quality
    return best


def _quality(form: Format, ranges: list[_Range]) -> float:
    media = _parse(form.media_type)
    taking = [each for each in ranges if media and each.takes(media)]
    return max(taking, key=lambda each: each.specificity).quality if taking else 0.0


def _parse(text: str) -> _Range | None:
    """Return a media range, or None if the text is none; what is said of the charset says nothing new."""
    name, *rest = (part.strip() for part in text.lower().split(";"))
    found = _RANGE.fullmatch(name)
    if not found or (found[1] == "*" and found[2] != "*"):
        return None
    quality, parameters = 1.0, set()
    for part in filter(None, rest):
        key, _, value = (piece.strip() for piece in part.partition("="))
        if key == "q":
            if not _QUALITY.fullmatch(value):
                return None
            quality = float(value)
        elif key != "charset":
            parameters.add((key, value.strip('"')))
    return _Range(found[1], found[2], frozenset(parameters), quality)
