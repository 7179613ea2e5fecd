"""The rows of a posted window: columns that are checked all at once, and row by row only to say what is wrong."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.address import V4_PREFIX, Addresses, format_address, parse_address
from service.capture.services import parse_service
from service.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from service.windows.counts import Indices, Ints

MAX_COUNT = 10**12
"""The largest count of a row: sums of a million rows still fit into int64."""

_V4 = V4_PREFIX.to_bytes(16)[:12]
"""What an IPv4 address has before its own four bytes."""

Words = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PostedRow:
    """What one source tried of one service."""

    source: str
    service: str
    attempts: int
    targets: int
    """Distinct targets."""
    answered: int
    """Distinct targets that took part."""


@dataclass(frozen=True, slots=True)
class PostedColumns:
    """Rows of a window, column by column; all of one length."""

    source: Sequence[str]
    service: Sequence[str]
    attempts: Sequence[int]
    targets: Sequence[int]
    answered: Sequence[int]

    @classmethod
    def of(cls, rows: Sequence[PostedRow]) -> PostedColumns:
        """Return the columns of these rows."""
        return cls(
            [row.source for row in rows],
            [row.service for row in rows],
            [row.attempts for row in rows],
            [row.targets for row in rows],
            [row.answered for row in rows],
        )

    def rows(self) -> list[PostedRow]:
        """Return the rows of these columns."""
        columns = self.source, self.service, self.attempts, self.targets, self.answered
        return [PostedRow(*values) for values in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class ParsedRows:
    """What r rows say, checked: whose each is, of what service, and its counts; all of length r but `sources`."""

    sources: Addresses
    """The n sources, sorted."""
    source: Indices
    """Index of each row's source."""
    service: Indices
    """Number of each row's service."""
    attempts: Ints
    targets: Ints
    answered: Ints
    order: NDArray[np.int64]
    """The rows sorted by (source, service)."""


def parse_rows(rows: PostedColumns) -> ParsedRows:
    """Return what the rows say; raises InputError for the first that makes no sense, or comes twice."""
    try:
        found = _parsed(rows)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None:
        _explain(rows.rows())
        raise InputError("rows", "make no sense; send them again")
    return found


def _parsed(rows: PostedColumns) -> ParsedRows | None:
    """Return what the rows say; None, ValueError, OverflowError or OSError if any makes no sense."""
    attempts, targets, answered = (
        np.array(column, np.int64) for column in (rows.attempts, rows.targets, rows.answered)
    )
    counted = (targets >= 1) & (targets <= attempts) & (attempts <= MAX_COUNT)
    if not (counted & (answered >= 0) & (answered <= targets)).all():
        return None
    texts = dict.fromkeys(rows.source)
    words = _words(texts)
    if not _can_send(words):
        return None
    sources, place = _distinct(words)
    places = dict(zip(texts, place.tolist(), strict=True))
    codes = {text: parse_service(text) for text in dict.fromkeys(rows.service)}
    source = np.fromiter(map(places.__getitem__, rows.source), np.int32, len(rows.source))
    service = np.fromiter(map(codes.__getitem__, rows.service), np.int32, len(rows.service))
    order = np.lexsort((service, source))
    again = (np.diff(source[order]) == 0) & (np.diff(service[order]) == 0)
    return None if again.any() else ParsedRows(sources, source, service, attempts, targets, answered, order)


def _words(texts: Iterable[str]) -> Addresses:
    """Return addresses, n × 2; raises ValueError or OSError for a text that is none."""
    packed = [_V4 + socket.inet_pton(socket.AF_INET, text) if ":" not in text else _packed(text) for text in texts]
    return np.frombuffer(b"".join(packed), ">u8").astype(np.uint64).reshape(-1, 2)


def _packed(text: str) -> bytes:
    high, low = parse_address(text)
    return (high << 64 | low).to_bytes(16)


def _can_send(words: Addresses) -> bool:
    """Return whether a host may send from each of these; see `parse_source`."""
    high, low = words.T
    mapped = (high == 0) & (low >> np.uint64(32) == 0xFFFF)
    v4 = low & np.uint64(0xFFFFFFFF)
    first = np.where(mapped, v4 >> np.uint64(24), high >> np.uint64(56))
    multicast = np.where(mapped, (first >= 224) & (first <= 239), first == 0xFF)
    nobody = np.where(mapped, (v4 == 0) | (v4 == 0xFFFFFFFF), (high == 0) & (low == 0))
    return not (multicast | nobody).any()


def _distinct(words: Addresses) -> tuple[Addresses, NDArray[np.int64]]:
    """Return the distinct addresses, sorted, and the place of each given one among them."""
    order = np.lexsort((words[:, 1], words[:, 0]))
    lined = words[order]
    fresh = np.ones(len(words), np.bool_)
    fresh[1:] = (lined[1:] != lined[:-1]).any(axis=1)
    place = np.empty(len(words), np.int64)
    place[order] = np.cumsum(fresh) - 1
    return np.ascontiguousarray(lined[fresh]), place


def _explain(rows: Sequence[PostedRow]) -> None:
    """Go over the rows one by one; raises InputError for the first that makes no sense."""
    parsed: dict[str, Words] = {}
    seen: dict[tuple[Words, int], int] = {}
    for index, row in enumerate(rows):
        field = f"rows[{index}]"
        source = parsed.get(row.source)
        if source is None:
            source = parsed[row.source] = parse_source(f"{field}.source", row.source)
        key = source, _parse_service(f"{field}.service", row.service)
        earlier = seen.setdefault(key, index)
        if earlier != index:
            raise InputError(
                field,
                f"repeats rows[{earlier}] ({format_address(*source)}, {row.service}); "
                "add their counts up in one row",
            )
        _check_counts(field, row)


def _check_counts(field: str, row: PostedRow) -> None:
    if row.attempts < 1:
        raise InputError(f"{field}.attempts", f"{row.attempts} is less than 1; leave the row out")
    if row.attempts > MAX_COUNT:
        raise InputError(f"{field}.attempts", f"is more than {MAX_COUNT}; no link carries that many in a day")
    if row.targets < 1:
        raise InputError(f"{field}.targets", f"{row.targets} is less than 1; an attempt has a target")
    if row.targets > row.attempts:
        raise InputError(
            f"{field}.targets",
            f"{row.targets} is more than the {row.attempts} attempts; count distinct targets",
        )
    if row.answered < 0:
        raise InputError(f"{field}.answered", f"{row.answered} is negative; count distinct targets")
    if row.answered > row.targets:
        raise InputError(
            f"{field}.answered",
            f"{row.answered} is more than the {row.targets} targets; count distinct targets",
        )


def _parse_service(field: str, text: str) -> int:
    try:
        return parse_service(text)
    except ValueError as error:
        raise InputError(field, str(error)) from error


def parse_source(field: str, text: str) -> Words:
    """Return the address of a host that sends; raises InputError with the field for a text that is none."""
    high, low = words = parse_address_of(field, text)
    mapped = high == 0 and low >> 32 == 0xFFFF
    first_byte = low >> 24 & 0xFF if mapped else high >> 56
    multicast = 224 <= first_byte <= 239 if mapped else first_byte == 0xFF
    broadcast = mapped and low & 0xFFFFFFFF == 0xFFFFFFFF
    if multicast or broadcast:
        raise InputError(field, f"{text!r} is a multicast or broadcast address: no host sends from it")
    if words == (0, 0) or (mapped and low & 0xFFFFFFFF == 0):
        raise InputError(field, f"{text!r} is the unspecified address; leave the row out")
    return words


def parse_address_of(field: str, text: str) -> Words:
    """Return an address; raises InputError with the field for a text that is none."""
    try:
        return parse_address(text)
    except ValueError as error:
        raise InputError(field, f"{error}; write an IPv4 or IPv6 address") from error
