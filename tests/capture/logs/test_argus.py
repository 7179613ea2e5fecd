from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.capture.inputs import Input
from service.errors import CaptureError
from tests.capture.logs.writing import ARGUS_HEADER, FLOWS, Read, argus_line, read_log

if TYPE_CHECKING:
    from pathlib import Path


def read(tmp_path: Path, *lines: str, header: str = ARGUS_HEADER) -> Read:
    path = tmp_path / "a.binetflow"
    path.write_text(header + "".join(lines))
    return read_log(path)


def record(
    state: str, *, proto: str = "tcp", way: str = "->", total: int = 2, sent: int = 1, ports: str = "40000,22"
) -> str:
    source, target = ports.split(",")
    ends = f"192.0.2.7,{source},   {way},198.51.100.1,{target}"
    return f"2019/04/04 16:24:47.672448,0.5,{proto},{ends},{state},0,0,{total},100,60,{sent}\n"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (record("REQ", total=1), "attempt"),
        (record("S0", total=31, sent=15), "attempt"),
        (record("CON", total=10, sent=5), "answered"),
        (record("FIN", total=10, sent=5), "answered"),
        (record("RST"), "refused"),
        (record("RST", total=1), "attempt"),
        (record("RST", total=3, sent=2), "answered"),
        (record("RST", total=20, sent=10), "answered"),
        (record("S_RA"), "refused"),
        (record("SR_SA", total=3, sent=2), "hung_up"),
        (record("F_", way="?>", total=1), "attempt"),
        (record("F_RA", way="<?>"), "refused"),
        (record("PA_PA", way="<?>"), None),
        (record("CON", way="?>"), None),
        (record("CON", way="<-"), None),
        (record("URP"), "refused"),
        (record("INT", proto="udp", ports="40000,53", total=1), "attempt"),
        (record("CON", proto="udp", way="<->", ports="40000,53"), "answered"),
        (record("URP", proto="udp", ports="40000,53"), "refused"),
        (record("RSP", proto="udp", ports="40000,53"), None),
        (record("INT", proto="udp", ports="53,40000", total=1), None),
        (record("ECO", proto="icmp", way="<->", ports="0x0008,0x5b1f"), "answered"),
        (record("ECO", proto="icmp", ports="0x0008,0x5b1f", total=1), "attempt"),
        (record("CON", proto="arp", way="who", ports=","), "answered"),
        (record("INT", proto="arp", way="who", ports=",", total=1), "attempt"),
    ],
)
def test_states(tmp_path: Path, line: str, what: str | None) -> None:
    told = read(tmp_path, line).told
    assert (told[-1].outcome if told else None) == what
    assert not told or told[0].time == 1_554_395_087_672_448_000


def test_without_counts_the_direction_tells_of_answers(tmp_path: Path) -> None:
    header = "StartTime,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State\n"
    lines = [f"1700000000,icmp,192.0.2.7,,{way},198.51.100.1,,ECO\n" for way in ("<->", "->")]
    assert [told.outcome for told in read(tmp_path, *lines, header=header).told] == [
        "attempt",
        "attempt",
        "answered",
    ]


def test_other_messages_are_counted(tmp_path: Path) -> None:
    lines = [record("URP", proto="icmp"), record("STA", proto="man"), record("CON", proto="igmp")]
    found = read(tmp_path, *lines, argus_line(FLOWS[0]))
    assert found.losses.unparsed == {"icmp/URP": 1, "ip_protocol/man": 1, "ip_protocol/2": 1}
    assert len(found.told) == 1


def test_times_without_a_date_are_bad(tmp_path: Path) -> None:
    found = read(tmp_path, record("REQ").replace("2019/04/04 ", ""), argus_line(FLOWS[0]))
    assert [bad.reason for bad in found.losses.bad_lines] == ["StartTime is no time"]


def test_names_instead_of_ports_are_bad(tmp_path: Path) -> None:
    found = read(tmp_path, record("REQ", ports="40000,ssh"), argus_line(FLOWS[0]))
    assert [bad.reason for bad in found.losses.bad_lines] == ["the target's port is no port"]


def test_headers_may_come_again(tmp_path: Path) -> None:
    found = read(tmp_path, argus_line(FLOWS[0]), ARGUS_HEADER, argus_line(FLOWS[1]))
    assert (found.losses.flows, found.losses.bad_lines) == (2, ())


def test_another_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.binetflow"
    path.write_text("StartTime,SrcAddr\n")
    with pytest.raises(CaptureError, match="does not name proto, dstaddr, state; give the output of ra"):
        read_log(path, Input.ARGUS)
