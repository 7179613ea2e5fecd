"""What is replayed: minutes of several sensors in every way in which traffic comes in, always the same."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.capture.address import format_addresses
from service.capture.services import format_service
from service.selfcheck.frames import ACK, SYN, Ends, Frame, capture, tcp
from service.windows.counts import WindowCounts
from service.windows.wire import write_window
from tests.traffic import SECOND, START, Try
from tests.work.traffic import MINUTE, minutes, tries

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from service.client.client import Client
    from service.client.operations import Accepted

TAP = "tap"
"""The sensor that is a process of its own."""
_UPLOADED = 3
"""Minutes in one capture."""
_BETWEEN = 2 * 24 * 60 * MINUTE
"""From one capture to the next, ns: its longest windows hold nothing of another one."""
_PADDING = bytes(4000)
"""Behind each frame of a capture, so that an upload is stored in more than one part."""
_MILLISECOND = 1_000_000
_APART = 200 * _MILLISECOND
"""Between two packets: a minute's last one comes well before the minute is over."""


@dataclass(frozen=True)
class Post:
    """Something that is handed over by HTTP, and how."""

    name: str
    send: Callable[[Client], Accepted]


def posts(count: int, captures: Path) -> dict[str, list[Post]]:
    """Return what each sensor posts, in its order; the files of captures are written to a folder."""
    return {
        "json-1": [_posted(counts) for counts in minutes("json-1", count, 1)],
        "json-2": [_posted(counts) for counts in minutes("json-2", count, 2)],
        "looks": [post for counts in minutes("looks", count, 3) for post in _looked_at(counts)],
        "captures": _captures(count, captures),
    }


def frames(told: Sequence[Try], start: int) -> list[Frame]:
    """Return a minute's packets: a SYN for each try, and a SYN-ACK for each that is answered."""
    found = []
    for number, each in enumerate(told):
        time = start + number * _APART
        ends = Ends(each.source, each.target, 20_000 + number, int(each.service.partition("/")[2]))
        found.append(tcp(time, ends, SYN))
        if each.answered:
            found.append(tcp(time + _MILLISECOND, ends.back, SYN | ACK))
    return found


def document(counts: WindowCounts) -> dict[str, Any]:
    """Return the document of ``POST /v1/windows`` for a window."""
    sources, rows, totals = format_addresses(counts.sources), counts.rows, counts.totals
    return {
        "sensor": counts.sensor,
        "start": counts.start // SECOND,
        "end": counts.end // SECOND,
        "rows": [
            {
                "source": sources[rows.source[i]],
                "service": format_service(int(rows.service[i])),
                "attempts": int(rows.attempts[i]),
                "targets": int(rows.targets[i]),
                "answered": int(rows.answered[i]),
            }
            for i in range(len(rows))
        ],
        "sources": [
            {
                "source": source,
                "targets": int(totals.targets[i]),
                "most_services_on_one_target": int(totals.most_services[i]),
                "most_unanswered_services_on_one_target": int(totals.most_unanswered[i]),
                "most_targets_of_one_service": int(totals.most_targets[i]),
            }
            for i, source in enumerate(sources)
        ],
    }


def _posted(counts: WindowCounts) -> Post:
    told = document(counts)
    return Post(counts.id, lambda client: client.send_window(told))


def _looked_at(counts: WindowCounts) -> list[Post]:
    """Return a look at a window that is still open, and the window, as sensors send them."""
    look, whole = write_window(replace(counts, seen_until=counts.start + 5 * SECOND)), write_window(counts)
    return [
        Post(f"a look at {counts.id}", lambda client: client.send_window(look)),
        Post(counts.id, lambda client: client.send_window(whole)),
    ]


def _captures(count: int, folder: Path) -> list[Post]:
    folder.mkdir(parents=True, exist_ok=True)
    told, found = tries(count, 4), []
    for first in range(0, count, _UPLOADED):
        begin = START + first // _UPLOADED * _BETWEEN
        packets = [
            Frame(frame.time, frame.data + _PADDING)
            for number, minute in enumerate(told[first : first + _UPLOADED])
            for frame in frames(minute, begin + number * MINUTE)
        ]
        path = folder / f"{first:04d}.pcap"
        path.write_bytes(capture(packets))
        found.append(_uploaded(path))
    return found


def _uploaded(path: Path) -> Post:
    return Post(path.name, lambda client: client.send_file(path, "captures"))
