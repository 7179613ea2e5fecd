"""Addresses written as text, whole columns at a time."""

from __future__ import annotations

import hashlib
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.address import V4_PREFIX, Addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from service.capture.hosts import HostTable

_MOST = 1 << 17
"""Texts that are remembered at a time."""
_LONGEST = 64

_UNKNOWN, _FULL = -1, -2
_NUMBER = (1 << 32) - 1
_GROUP, _V6 = 1 << 32, 1 << 33

_NAMES = 0xFD79_6F63_686F << 16
"""High word of the addresses that stand for names: fd79:6f63:686f::/48, a local range (RFC 4193)."""
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class Hosts:
    """A column of n hosts."""

    numbers: NDArray[np.uint32]
    """As `service.capture.hosts.HostTable` numbers them; 0 where not known."""
    known: NDArray[np.bool_]
    """Whether the text is an address."""
    full: NDArray[np.bool_]
    """Whether it is one that the host table has no room for."""
    group: NDArray[np.bool_]
    """Whether it stands for many hosts, or for none."""
    v6: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What else may stand for an address, next to IPv4 and IPv6 in their usual forms."""

    integers: bool = False
    """IPv4 as one decimal number."""
    names: bool = False
    """Names of hosts; each stands for an address of its own in fd79:6f63:686f::/48."""


class AddressBook:
    """Turns addresses into host numbers and remembers the latest ones."""

    def __init__(self, hosts: HostTable, dialect: Dialect = Dialect()) -> None:
        self._hosts = hosts
        self._dialect = dialect
        self._seen: dict[str, int] = {}

    def look_up(self, texts: Sequence[str]) -> Hosts:
        """Return the hosts of a column of addresses."""
        if len(self._seen) > _MOST:
            self._seen.clear()
        missing = dict.fromkeys(text for text in texts if text not in self._seen)  # in order: numbers repeat
        if missing:
            self._learn(missing)
        found = np.fromiter(map(self._seen.__getitem__, texts), np.int64, len(texts))
        return Hosts(
            numbers=np.where(found >= 0, found & _NUMBER, 0).astype(np.uint32),
            known=found != _UNKNOWN,
            full=found == _FULL,
            group=(found >= 0) & (found & _GROUP != 0),
            v6=(found >= 0) & (found & _V6 != 0),
        )

    def _learn(self, texts: Iterable[str]) -> None:
        pending: list[tuple[str, int, int]] = []
        for text in texts:
            words = _words(text, self._dialect)
            if words is None:
                self._seen[text] = _UNKNOWN
            else:
                pending.append((text, *words))
        words_of = np.array([(high, low) for _, high, low in pending], dtype=np.uint64).reshape(-1, 2)
        numbers = self._hosts.number(words_of)
        marks = np.where(_is_group(words_of), _GROUP, 0) | np.where(_is_v4(words_of), 0, _V6)
        found = np.where(numbers >= 0, numbers | marks, _FULL).tolist()
        self._seen.update(zip((text for text, _, _ in pending), found, strict=True))


def _is_v4(words: Addresses) -> NDArray[np.bool_]:
    return np.asarray((words[:, 0] == 0) & (words[:, 1] >> np.uint64(32) == np.uint64(0xFFFF)))


def _is_group(words: Addresses) -> NDArray[np.bool_]:
    """Multicast, broadcast, and the address of no host."""
    high, low = words[:, 0], words[:, 1]
    last = low & np.uint64(0xFFFFFFFF)
    v4 = _is_v4(words) & ((last >= 0xE0000000) | (last == 0))
    return np.asarray(v4 | (high >> np.uint64(56) == np.uint64(0xFF)) | ((high == 0) & (low == 0)))


def _words(text: str, dialect: Dialect) -> tuple[int, int] | None:
    """Return the two words of an address, see `service.capture.address`, or None."""
    if len(text) > _LONGEST or not text.isascii() or "\0" in text:
        return None
    try:  # many times faster than the module ipaddress, and as strict
        if ":" in text:
            packed = socket.inet_pton(socket.AF_INET6, text)
            return int.from_bytes(packed[:8], "big"), int.from_bytes(packed[8:], "big")
        return 0, V4_PREFIX | int.from_bytes(socket.inet_pton(socket.AF_INET, text), "big")
    except OSError:
        return _spoken(text, dialect)


def _spoken(text: str, dialect: Dialect) -> tuple[int, int] | None:
    if dialect.integers and text.isdigit() and len(text) <= 10 and int(text) < 1 << 32:
        return 0, V4_PREFIX | int(text)
    if dialect.names and _NAME.fullmatch(text):
        return _NAMES, int.from_bytes(hashlib.blake2b(text.lower().encode(), digest_size=8).digest(), "big")
    return None
