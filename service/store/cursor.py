"""Where a listing goes on, as text that nobody needs to understand."""

from __future__ import annotations

import base64
import binascii

from service.errors import NotFoundError

_LARGEST = (1 << 63) - 1
_LONGEST = 64
_LONGEST_PLACE = 1024


def write_cursor(listing: str, sequence: int) -> str:
    """Return the cursor of the part of a listing that follows the row with this sequence number."""
    return base64.urlsafe_b64encode(f"{listing}:{sequence}".encode()).decode().rstrip("=")


def read_cursor(listing: str, text: str) -> int:
    """Return the sequence number in a cursor; raises NotFoundError if it is none of this listing's."""
    sequence = _sequence(listing, text) if len(text) <= _LONGEST else None
    # Base64 has several spellings of one value; only ours is accepted.
    if sequence is None or write_cursor(listing, sequence) != text:
        raise NotFoundError(f"cursor: {text[:_LONGEST]!r} is none that a listing of {listing} gave; start without")
    return sequence


def write_place(listing: str, number: int, name: str) -> str:
    """Return the cursor of the part of a listing that follows an item of this number and name."""
    return base64.urlsafe_b64encode(f"{listing}:{number}:{name}".encode()).decode().rstrip("=")


def read_place(listing: str, text: str) -> tuple[int, str]:
    """Return the number and the name in a cursor; raises NotFoundError if it is none of this listing's."""
    plain = _plain(text) if len(text) <= _LONGEST_PLACE else ""
    kind, _, rest = plain.partition(":")
    digits, _, name = rest.partition(":")
    numbered = digits.isascii() and digits.isdigit() and len(digits) <= 19
    if kind != listing or not numbered or not name or write_place(listing, int(digits), name) != text:
        raise NotFoundError(f"cursor: {text[:_LONGEST]!r} is none that a listing of {listing} gave; start without")
    return min(int(digits), _LARGEST), name


def _sequence(listing: str, text: str) -> int | None:
    name, _, digits = _plain(text).partition(":")
    if name != listing or not (digits.isascii() and digits.isdigit()):
        return None
    return min(int(digits), _LARGEST)


def _plain(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
