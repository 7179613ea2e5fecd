"""Sends the examples to an installation, and compares whom it names."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx

from service.errors import RemoteError
from service.selfcheck.frames import capture
from service.selfcheck.scans import EXAMPLES, SECOND, Example

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DAY = 86_400 * SECOND
_PCAP = {"content-type": "application/vnd.tcpdump.pcap", "prefer": "wait=50"}
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What an installation said of an example."""

    example: Example
    named: tuple[str, ...]
    """The kinds of scan that its sources were named for, all of them together."""
    others: tuple[str, ...]
    """Sources that were named besides."""
    pairs: int | None
    """After how many distinct (target, service) it was named."""
    seconds: float | None
    """How long after its first attempt, in the time of the traffic."""

    @property
    def right(self) -> bool:
        """Whether it is what should be said."""
        fits = set(self.named) <= set(self.example.kinds) and bool(self.named) == bool(self.example.kinds)
        return fits and not self.others


def check(client: httpx.Client, now: int, progress: Callable[[int], None] = lambda _: None) -> Iterator[Finding]:
    """Yield what the installation behind a client says of each example, as a sensor of its own.

    The sensors' names begin with ``selfcheck-``. The traffic is of the five days before `now`, ns since the epoch.
    `progress` hears how many examples are done. Raises RemoteError if it can't be reached, or refuses.
    """
    run = secrets.token_hex(4)
    for number, example in enumerate(EXAMPLES, 1):
        sensor = f"selfcheck-{run}-{number}"
        frames = list(example.frames((now - 5 * _DAY) // (3600 * SECOND) * 3600 * SECOND))
        job = _asked(client.post, "/v1/windows", params={"sensor": sensor}, content=capture(frames), headers=_PCAP)
        if job.get("state") == "waiting":
            raise RemoteError(f"{job['url']}: still waits; is a worker running, and is there much to do?")
        alerts = _asked(client.get, "/v1/alerts", params={"sensor": sensor, "limit": "100"})["items"]
        yield _finding(example, alerts)
        progress(number)


def _finding(example: Example, alerts: list[dict[str, Any]]) -> Finding:
    mine = [alert for alert in alerts if set(alert["sources"]) == set(example.sources)]
    first = min(mine, key=lambda alert: str(alert["named_at"]), default=None)
    return Finding(
        example,
        named=tuple(sorted({alert["kind"] for alert in mine})),
        others=tuple(sorted({source for alert in alerts for source in alert["sources"]} - set(example.sources))),
        pairs=first["named_after_pairs"] if first else None,
        seconds=_seconds(first["first_seen"], first["named_at"]) if first else None,
    )


def _seconds(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def _asked(ask: Callable[..., httpx.Response], path: str, **how: Any) -> Any:
    try:
        answer = ask(path, timeout=_TIMEOUT, **how)
    except httpx.HTTPError as error:
        raise RemoteError(f"{path}: {error}; is the service running there? see --url") from None
    if answer.is_error:
        raise RemoteError(f"{path}: answered {answer.status_code}: {answer.text[:200]}")
    return answer.json()
