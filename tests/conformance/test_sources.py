"""What `service.capture.source` promises, held against every reader of files: captures and logs."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, fields, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest

from service.capture import chunks, formats, records, stream
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.capture.inputs import Input
from service.capture.logs import lines
from service.capture.mark import Mark
from service.errors import CaptureError
from service.pipeline import PipelineSpec
from service.reading import Reading, read_windows
from tests.capture.frames import ETHER, V4, built
from tests.capture.wrapping import TUNNELS
from tests.conformance.test_readers import STYLES, many
from tests.packets import START, Frame, pcap, pcapng, squeezed, zipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.capture.batch import FlowBatch, PacketBatch
    from service.capture.source import BadLines, Losses, TrafficFile
    from service.windows.counts import WindowCounts

MANY = 240
SECOND = 10**9


@cache
def frames() -> list[Frame]:
    """Probes, a second apart; one in ten in a tunnel, one in ten is nothing that can be followed."""
    from scapy.layers.inet import TCP  # noqa: PLC0415  (slow to import)

    found = []
    for i in range(MANY):
        packet = V4 / TCP(sport=40000, dport=1000 + i, flags="S")
        wrapped = ETHER / (TUNNELS["gre"][1](packet) if i % 10 == 3 else packet)
        found.append(Frame(START + i * SECOND, built(wrapped)[: 30 if i % 10 == 7 else None]))
    return found


FILES: dict[str, Callable[[], bytes]] = {
    "pcap": lambda: pcap(frames()),
    "pcap big-endian": lambda: pcap(frames(), big=True, nanoseconds=True),
    "pcapng": lambda: pcapng(frames()),
    "pcap in gzip": lambda: zipped(pcap(frames())),
    "pcapng in zstd": lambda: squeezed(pcapng(frames())),
    **{
        name: lambda style=style: style.text(many(MANY)).encode()  # type: ignore[misc]  # bound early
        for name, (_, style) in STYLES.items()
    },
}


@pytest.fixture(params=FILES)
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that is read in many small pieces."""
    for module, name, value in ((chunks, "CHUNK", 1 << 12), (records, "BLOCK", 50), (lines, "BLOCK", 1 << 12)):
        monkeypatch.setattr(module, name, value)
    found = tmp_path / "traffic"
    found.write_bytes(FILES[request.param]())
    return found


def opened(path: Path) -> TrafficFile:
    return open_traffic(path, HostTable(64))


def taken(source: TrafficFile, most: int = MANY) -> tuple[list[list[bytes]], list[int]]:
    """Return the columns of the next batches, and the position after each."""
    columns, positions = [], []
    for _, batch in zip(range(most), source.batches(), strict=False):
        columns.append([np.array(getattr(batch, column.name)).tobytes() for column in fields(batch)])
        positions.append(source.position())
    return columns, positions


def joined(batches: list[list[bytes]]) -> list[bytes]:
    return [b"".join(column) for column in zip(*batches, strict=True)]


def windows(path: Path) -> tuple[list[WindowCounts], Losses]:
    source = opened(path)
    return list(read_windows([source], "edge", PipelineSpec(), Reading())), source.losses()


def test_all_that_is_read_is_followed_or_counted(path: Path) -> None:
    source = opened(path)
    rows = [len(batch) for batch in source.batches()]
    losses = source.losses()
    assert len(rows) > 1
    assert losses.flows + losses.packets == MANY
    assert sum(rows) + sum(losses.unparsed.values()) == MANY
    assert (losses.packets == 0) == source.is_log
    assert (losses.damage, losses.dropped, losses.bad_lines) == (None, 0, ())
    assert losses.tunnelled == ({} if source.is_log else {"gre": 24})


def test_the_position_only_goes_on_and_ends_with_the_file(path: Path) -> None:
    _, positions = taken(opened(path))
    assert positions == sorted(positions)
    assert positions[0] > 0
    assert positions[-1] == path.stat().st_size


def test_the_first_time_is_that_of_the_first_batch_and_takes_nothing_away(path: Path) -> None:
    source = opened(path)
    first = source.first_time()
    assert first == min(int(batch.time.min()) for batch in opened(path).batches())
    assert joined(taken(source)[0]) == joined(taken(opened(path))[0])


def test_a_reading_that_was_given_up_does_no_harm_to_the_next_one(path: Path) -> None:
    given_up = opened(path)
    begun, _ = taken(given_up, 2)
    given_up.close()
    given_up.close()
    again, _ = taken(opened(path))
    assert again[:2] == begun
    assert len(again) > 2


def test_going_on_at_a_mark_gives_the_same_batches_and_losses(path: Path) -> None:
    hosts = HostTable(64)
    whole, _ = taken(open_traffic(path, hosts))
    assert len(whole) > 2
    told = opened(path)
    list(told.batches())
    for count in (0, 1, len(whole) // 2, len(whole)):
        stopped = open_traffic(path, hosts)
        begun, _ = taken(stopped, count)
        mark, before = stopped.mark(), stopped.losses()
        stopped.close()
        again = open_traffic(path, hosts, at=Mark(**json.loads(json.dumps(asdict(mark)))))
        rest, positions = taken(again)
        assert joined([*begun, *rest]) == joined(whole)
        assert positions == sorted(positions)
        assert again.position() == path.stat().st_size
        assert added(before, again.losses()) == added(told.losses())


def test_the_state_of_a_service_that_goes_on_at_a_mark_gives_the_same_windows(path: Path) -> None:
    """What outlives a reader: conversations and open windows."""
    whole, _ = windows(path)
    hosts = HostTable(64)
    for count in (1, 3):
        first = open_traffic(path, hosts)
        second = _Later(first, count, lambda at: open_traffic(path, hosts, at=at))
        found = list(read_windows([second], "edge", PipelineSpec(), Reading()))
        assert [(c.start, c.digest()) for c in found] == [(c.start, c.digest()) for c in whole]
        assert second.resumed


def test_the_first_time_after_a_mark_is_that_of_what_follows(path: Path) -> None:
    first = opened(path)
    taken(first, 2)
    mark = first.mark()
    first.close()
    again = open_traffic(path, HostTable(64), at=mark)
    begins = again.first_time()
    assert again.mark() == mark
    whole, _ = taken(opened(path))
    rest, _ = taken(again)
    assert joined(rest) == joined(whole[2:])
    assert begins == np.frombuffer(rest[0][0], np.int64).min()


def test_only_the_rest_of_a_plain_file_is_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(path)
    taken(first)
    mark = first.mark()
    asked: list[int] = []
    read = stream.Origin.readinto1

    def counted(self: stream.Origin, buffer: memoryview) -> int:
        asked.append(read(self, buffer))
        return asked[-1]

    monkeypatch.setattr(stream.Origin, "readinto1", counted)
    list(open_traffic(path, HostTable(64), at=mark).batches())
    packed = path.read_bytes().startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd"))
    # The beginning is read for the kind, and what follows its 64 KB only if it has to be unpacked.
    assert packed or sum(asked) <= formats.HEAD + chunks.CHUNK


@pytest.mark.parametrize(
    "state", ["", "[]", '"x"', "{", '{"line": "x"}', '{"preamble": [1]}', '{"recent": 7}', '{"interfaces": [[0]]}']
)
def test_a_mark_that_makes_no_sense_is_refused(path: Path, state: str) -> None:
    with pytest.raises(CaptureError, match="mark: "):
        list(open_traffic(path, HostTable(64), at=Mark(30, state)).batches())


def test_a_mark_beyond_the_end_of_a_file_is_damage(path: Path) -> None:
    source = opened(path)
    taken(source)
    far = replace(source.mark(), offset=1 << 40)
    source = open_traffic(path, HostTable(64), at=far)
    assert list(source.batches()) == []
    damage = source.losses().damage
    assert damage is not None
    assert str(1 << 40) in damage.reason


class _Later:
    """A reader that is stopped after some batches, and another one that goes on at its mark."""

    def __init__(self, first: TrafficFile, count: int, again: Callable[[Mark], TrafficFile]) -> None:
        self.hosts, self.is_log = first.hosts, first.is_log
        self._reader, self._count, self._again = first, count, again
        self.resumed = False

    def batches(self) -> Iterator[PacketBatch | FlowBatch]:
        for _, batch in zip(range(self._count), self._reader.batches(), strict=False):
            yield batch
        mark = self._reader.mark()
        self._reader.close()
        self._reader, self.resumed = self._again(mark), True
        yield from self._reader.batches()

    def position(self) -> int:
        return self._reader.position()

    def losses(self) -> Losses:
        return self._reader.losses()


def added(*parts: Losses) -> tuple[int, int, Counter[str], Counter[str], list[BadLines]]:
    """Return what several readers did not follow, together."""
    unparsed, tunnelled = Counter[str](), Counter[str]()
    for part in parts:
        unparsed.update(part.unparsed)
        tunnelled.update(part.tunnelled)
    lines = [bad for part in parts for bad in part.bad_lines]
    return sum(part.packets for part in parts), sum(part.flows for part in parts), unparsed, tunnelled, lines


def test_what_was_closed_before_it_was_read_can_be_closed_again(path: Path) -> None:
    source = opened(path)
    source.close()
    source.close()


def test_a_file_that_is_cut_keeps_what_came_before(path: Path) -> None:
    whole, _ = taken(opened(path))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    if data.startswith(b"\x28\xb5\x2f\xfd"):  # so little is one block of zstd, which is there wholly or not at all
        with pytest.raises(CaptureError, match="the packed data is damaged"):
            opened(path)
        return
    source = opened(path)
    columns, _ = taken(source)
    assert columns[0] == whole[0]
    losses = source.losses()
    assert MANY // 3 < losses.packets + losses.flows < MANY
    told = [losses.damage, *losses.bad_lines]
    assert any(told), "the cut went unnoticed"


def test_an_empty_file_is_refused_with_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "a.pcap"
    empty.write_bytes(b"")
    for kind in (None, Input.CAPTURE):
        with pytest.raises(CaptureError, match=r"a\.pcap: ") as caught:
            list(open_traffic(empty, HostTable(), kind).batches())
        assert "\n" not in str(caught.value)
