"""Connections of the API: how many there may be, and how long one may keep the service waiting."""

from __future__ import annotations

import logging
import resource
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Protocol

from service.observe import SILENT, Observer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_log = logging.getLogger(__name__)

_OTHER_FILES = 256
"""Descriptors that the rest of the process may need: listener, database, logs, pools."""


class Cut(StrEnum):
    """Why a connection was ended."""

    CROWDED = "crowded"
    """It waited for longest when there were too many."""
    REFUSED = "refused"
    """There were too many, and all were at work."""
    IDLE = "idle"
    """Nothing came."""
    SLOW_HEAD = "slow_head"
    """A part of the head of a request came, and the rest of it not in time."""
    SLOW_BODY = "slow_body"
    SLOW_READER = "slow_reader"
    """It did not take its answer."""
    UNREADABLE = "unreadable"
    """What came is no HTTP."""
    UNREAD = "unread"
    """It went on sending after it was answered."""


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """What connections may take; raises ValueError unless all is positive."""

    most: int = 2048
    most_of_address: int = 256
    """Of one IPv4 address, or of one /64 of IPv6, which is what one customer gets."""
    idle_seconds: float = 10.0
    """For the head of a request, from the beginning of the connection or the end of the answer before."""
    stall_seconds: float = 20.0
    """Within so long, a body and an answer have to go on by ..."""
    least_rate: float = 500.0
    """... so many bytes a second."""

    def __post_init__(self) -> None:
        if min(self.most, self.most_of_address, self.idle_seconds, self.stall_seconds, self.least_rate) <= 0:
            raise ValueError(f"connections: {self} is not all positive")

    def that_fit(self) -> ConnectionSpec:
        """Return it with as many connections as this process may have files, whose bound is raised if it can be."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.most + _OTHER_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return self
        fitting = max(1, soft - _OTHER_FILES)
        _log.warning("fewer connections than set: raise the limit of open files", extra={"most": fitting})
        return replace(self, most=fitting)


class Pace:
    """Whether bytes move as they should: by `rate` a second over each span of `seconds`."""

    def __init__(self, seconds: float, rate: float) -> None:
        self._seconds = seconds
        self._least = rate * seconds
        self._since: float | None = None
        self._moved = 0

    def rest(self) -> None:
        """Forget what was: nothing has to move now."""
        self._since = None

    def is_slow(self, now: float, moved: int) -> bool:
        """Return whether a span has ended in which too little moved; `moved` is all that ever did."""
        if self._since is None:
            self._since, self._moved = now, moved
        if now - self._since < self._seconds:
            return False
        slow = moved - self._moved < self._least
        self._since, self._moved = now, moved
        return slow


class Connection(Protocol):
    """One that was accepted."""

    @property
    def address(self) -> str:
        """Where it comes from; empty if that is not known."""
        ...

    @property
    def waits(self) -> bool:
        """Whether no request of it is being answered, or has begun to be."""
        ...

    def judge(self, now: float) -> Cut | None:
        """Return why it has to end, if it does; called now and then with seconds of the loop's clock."""
        ...

    def end(self, why: Cut) -> bool:
        """End it, and return whether it stays a little, until it has heard why: it counts until it leaves."""
        ...


class Connections:
    """All that are open: in the order in which they came, in all and by address."""

    def __init__(self, spec: ConnectionSpec, observer: Observer = SILENT) -> None:
        self.spec = spec
        self._observer = observer
        # Dicts as ordered sets.
        self._open: dict[Connection, None] = {}
        self._of: dict[str, dict[Connection, None]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._open))

    def admit(self, new: Connection) -> bool:
        """Return whether a connection may stay; another that waits may have to end for it.

        What costs a client nothing is to connect and say nothing: of those the oldest goes first.
        """
        group = _group(new.address)
        beside = self._of.get(group, {})
        if len(beside) >= self.spec.most_of_address and not self._make_room(beside):
            return self._refuse(new)
        if len(self._open) >= self.spec.most and not self._make_room(self._open):
            return self._refuse(new)
        self._open[new] = None
        self._of.setdefault(group, {})[new] = None
        self._observer.connected(len(self._open))
        return True

    def leave(self, gone: Connection) -> None:
        """Forget a connection; one that was forgotten before, too."""
        if self._open.pop(gone, gone) is gone:
            return
        group = _group(gone.address)
        beside = self._of[group]
        del beside[gone]
        if not beside:
            del self._of[group]
        self._observer.connected(len(self._open))

    def count(self, why: Cut) -> None:
        """Count a connection that has ended by itself."""
        self._observer.cut(why.value)

    def expel(self, connection: Connection, why: Cut) -> None:
        """End a connection."""
        self._observer.cut(why.value)
        if not connection.end(why):
            self.leave(connection)

    def sweep(self, now: float) -> None:
        """End those that keep the service waiting; to be called about every second."""
        for each in self:
            why = each.judge(now)
            if why is not None:
                self.expel(each, why)

    def _make_room(self, among: Iterable[Connection]) -> bool:
        oldest = next((each for each in among if each.waits), None)
        if oldest is None:
            return False
        self.expel(oldest, Cut.CROWDED)
        return True

    def _refuse(self, new: Connection) -> bool:
        self.expel(new, Cut.REFUSED)
        return False


def _group(address: str) -> str:
    """Return whose connections are counted together."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return parsed.exploded[:19]  # four of eight blocks
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)
