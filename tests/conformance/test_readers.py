"""What `service.capture.source` promises, held against every reader of logs."""

from __future__ import annotations

import gzip
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.capture.batch import FlowBatch
from service.capture.formats import FORMATS, open_traffic
from service.capture.hosts import HostTable
from service.capture.inputs import Input
from service.capture.logs import lines
from service.errors import CaptureError
from tests.capture.logs import writing
from tests.capture.logs.writing import FLOWS, SECOND, START, Flow, Style, read_log
from tests.capture.reading import kind_of
from tests.reference import Told

if TYPE_CHECKING:
    from pathlib import Path

STYLES = {
    "zeek": (Input.ZEEK, Style(writing.ZEEK_HEADER, writing.zeek_line)),
    "zeek json": (Input.ZEEK, Style("", writing.zeek_object)),
    "suricata": (Input.SURICATA, Style("", writing.suricata_line)),
    "argus": (Input.ARGUS, Style(writing.ARGUS_HEADER, writing.argus_line)),
    "nfdump": (Input.NFDUMP, Style(writing.NFDUMP_HEADER, writing.nfdump_lines, tells_refusals=False)),
    "nfdump new": (Input.NFDUMP, Style(writing.NFDUMP_NEW_HEADER, writing.nfdump_new_lines, tells_refusals=False)),
    "vpc": (Input.VPC, Style(writing.VPC_HEADER, writing.vpc_lines, tells_refusals=False)),
    "csv": (Input.CSV, Style(writing.TABLE_HEADER, writing.table_line)),
}
MANY = 5_000


@pytest.fixture(params=STYLES)
def named(request: pytest.FixtureRequest) -> tuple[Input, Style]:
    return STYLES[request.param]


@pytest.fixture
def kind(named: tuple[Input, Style]) -> Input:
    return named[0]


@pytest.fixture
def style(named: tuple[Input, Style]) -> Style:
    return named[1]


def told_of(flows: tuple[Flow, ...] | list[Flow], *, attempts_only: bool = False) -> list[Told]:
    """Return what flows tell, from their definition."""
    found = []
    for flow in flows:
        service = f"{flow.protocol}/{flow.port}"
        found.append(Told(flow.time, flow.source, flow.target, service, "attempt"))
        if flow.outcome != "unanswered" and not attempts_only:
            found.append(Told(flow.time, flow.source, flow.target, service, flow.outcome))
    return sorted(found)


def attempts(told: list[Told]) -> list[Told]:
    return sorted(row for row in told if row.outcome == "attempt")


def many(count: int) -> list[Flow]:
    return [
        Flow(START + i * SECOND, f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}", "198.51.100.1", "tcp", 22, "unanswered")
        for i in range(count)
    ]


def test_every_kind_has_a_reader() -> None:
    assert set(FORMATS) == set(Input)
    assert {kind for kind, _ in STYLES.values()} == set(Input) - {Input.CAPTURE}


def test_a_log_is_recognised_by_its_content(kind: Input, style: Style, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_text(style.text(FLOWS))
    assert kind_of(path) is kind


def test_the_same_flows_are_the_same_attempts(style: Style, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(style.text(FLOWS))
    read = read_log(path)
    assert attempts(read.told) == told_of(FLOWS, attempts_only=True)
    if style.tells_refusals:
        assert sorted(read.told) == told_of(FLOWS)
    assert read.losses.bad_lines == ()
    assert read.losses.unparsed == {}
    assert read.losses.damage is None


def test_packed_logs_and_other_line_ends(kind: Input, style: Style, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    text = style.text(FLOWS)
    path.write_bytes(gzip.compress(("\ufeff" + text).replace("\n", "\r\n").encode()))
    assert kind_of(path) is kind
    assert attempts(read_log(path).told) == told_of(FLOWS, attempts_only=True)
    path.write_text(text.removesuffix("\n"))
    assert attempts(read_log(path).told) == told_of(FLOWS, attempts_only=True)


def test_counts_add_up(style: Style, tmp_path: Path) -> None:
    """Every line is a header, a flow that is followed, one that is not, or a bad one."""
    path = tmp_path / "a.log"
    body = style.text(FLOWS).removeprefix(style.header).splitlines(keepends=True)
    gre = body[0].replace("tcp", "gre").replace("TCP", "GRE").replace(" 6 1 ", " 47 1 ")
    rubbish = "rubbish, too short\n"
    path.write_text(style.header + body[0] + rubbish + "".join(body[1:]) + gre + rubbish)
    read = read_log(path)
    (bad,) = read.losses.bad_lines
    assert (bad.count, bad.first, bad.file) == (2, style.header.count("\n") + 2, str(path))
    assert read.losses.flows == len(body) + 1
    assert read.losses.unparsed == {"ip_protocol/47": 1}
    assert read.losses.packets == 0
    assert attempts(read.told) == told_of(FLOWS, attempts_only=True)


def test_a_file_without_a_good_line_is_refused_with_one_line(kind: Input, style: Style, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(style.header + "rubbish, too short\n" * 3)
    with pytest.raises(CaptureError, match=r"a\.log: ") as caught:
        read_log(path, kind)
    assert "\n" not in str(caught.value)
    with pytest.raises(CaptureError, match=r"a\.log: "):
        open_traffic(path, HostTable(), kind).first_time()


def test_another_text_is_refused_even_by_name(kind: Input, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("Dear reader,\nthis is a letter.\n")
    with pytest.raises(CaptureError, match=r"a\.log: "):
        read_log(path, kind)
    with pytest.raises(CaptureError, match="no capture or log that is known: it begins with 'Dear reader,'"):
        kind_of(path)


def test_damage_keeps_what_came_before(style: Style, tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    flows = many(MANY)
    packed = gzip.compress(style.text(flows).encode(), compresslevel=1)
    path.write_bytes(packed[: len(packed) * 3 // 4])
    read = read_log(path)
    assert read.losses.damage is not None
    assert read.losses.bad_lines == ()
    assert MANY // 2 < len(read.told) < MANY
    assert attempts(read.told) == told_of(flows[: len(read.told)], attempts_only=True)


def test_the_first_time_needs_no_whole_file(style: Style, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(style.text(FLOWS[1:] + FLOWS[:1]))
    source = open_traffic(path, HostTable())
    assert source.first_time() == START
    assert source.position() > 0


def test_memory_does_not_grow_with_the_file(style: Style, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 1 << 14)
    path = tmp_path / "a.log"
    flows = many(200)

    def peak(copies: int) -> int:
        path.write_text(style.header + "".join(map(style.line, flows)) * copies)
        source = open_traffic(path, HostTable(64))
        tracemalloc.start()
        for batch in source.batches():
            assert len(batch) <= lines.BLOCK
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(1)
    assert peak(20) < peak(5) + (1 << 18)


def test_a_line_without_an_end_costs_itself_alone(style: Style, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    text = style.text(FLOWS)
    later = [replace(flow, time=flow.time + 3600 * SECOND, source_port=41_000) for flow in FLOWS]
    rest = style.text(later)
    path.write_text(text + "x" * (3 * lines.BLOCK) + "\n" + "y" * (lines.LONGEST + 1) + "\n" + rest)
    read = read_log(path)
    assert [(bad.reason, bad.count, bad.first) for bad in read.losses.bad_lines] == [
        ("longer than any record", 2, text.count("\n") + 1)
    ]
    assert attempts(read.told) == told_of([*FLOWS, *later], attempts_only=True)


def test_hosts_without_room_are_counted(style: Style, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(
        style.text([Flow(START, f"2001:db8::{i:x}", "192.0.2.1", "tcp", 22, "unanswered") for i in range(1, 11)])
    )
    read = read_log(path, hosts=HostTable(4))
    assert len(read.told) == 4
    assert read.losses.unparsed == {"address_table_full": 6}
    assert read.losses.flows == 10


@settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_lines_are_counted_and_raise_nothing_else(
    style: Style, kind: Input, data: st.DataObject, tmp_path: Path
) -> None:
    raw = bytearray(style.text(FLOWS * 2).encode())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(raw) - 1))
        piece = data.draw(
            st.one_of(st.binary(max_size=6), st.sampled_from([b"\n", b"\t", b",", b'"', b"-", b"9" * 30]))
        )
        raw[at : at + data.draw(st.integers(0, 6))] = piece
    path = tmp_path / "a.log"
    path.write_bytes(raw)
    try:
        source = open_traffic(path, HostTable(64), kind)
        flows = 0
        for batch in source.batches():
            assert isinstance(batch, FlowBatch)
            flows += len(batch)
    except CaptureError:
        return
    losses = source.losses()
    assert losses.flows == flows + sum(losses.unparsed.values())
    assert all(bad.first >= 1 and bad.count >= 1 for bad in losses.bad_lines)


@settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(max_size=300))
def test_any_text_is_read_or_refused(kind: Input, text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        read = read_log(path, kind)
    except CaptureError:
        return
    assert read.losses.damage is None
