from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.capture.inputs import Input
from service.errors import CaptureError
from tests.capture.logs.writing import FLOWS, START, ZEEK_HEADER, Read, read_log, zeek_line, zeek_object

if TYPE_CHECKING:
    from pathlib import Path

PATH = "a.log"


def read(tmp_path: Path, *lines: str) -> Read:
    path = tmp_path / PATH
    path.write_text("".join(lines))
    return read_log(path)


def record(state: str, history: str, *, proto: str = "tcp", ports: str = "40000\t22", packets: str = "1\t0") -> str:
    source, target = ports.split("\t")
    ends = f"192.0.2.7\t{source}\t198.51.100.1\t{target}"
    return f"1700000000.000000\tC1\t{ends}\t{proto}\t-\t{state}\t{history}\t{packets}\n"


def outcome(tmp_path: Path, line: str) -> str | None:
    """Return what became of the attempt of a single record, or None if it is none."""
    told = read(tmp_path, ZEEK_HEADER, line).told
    return told[-1].outcome if told else None


@pytest.mark.parametrize(
    ("state", "what"),
    [
        *((state, "attempt") for state in ("S0", "RSTOS0", "SH")),
        ("REJ", "refused"),
        *((state, "answered") for state in ("S1", "S2", "S3", "SF", "RSTO", "RSTR")),
        *((state, None) for state in ("RSTRH", "SHR", "OTH")),
    ],
)
def test_the_state_decides_where_there_is_no_history(tmp_path: Path, state: str, what: str | None) -> None:
    assert outcome(tmp_path, record(state, "-", packets="-\t-")) == what


@pytest.mark.parametrize(
    ("history", "packets", "what"),
    [
        ("S", "1\t0", "attempt"),
        ("Sr", "1\t1", "refused"),
        ("ShR", "2\t1", "hung_up"),
        ("ShADadFf", "5\t5", "answered"),
        ("SADadfF", "5\t5", "answered"),
        ("F", "1\t0", "attempt"),
        ("Fr", "1\t1", "refused"),
        ("A", "1\t0", "attempt"),
        ("A", "4\t0", None),
        ("Ar", "1\t1", "refused"),
        ("r", "1\t1", "refused"),
        ("r", "0\t1", None),
        ("Car", "0\t2", "refused"),
        ("^hCadf", "0\t5", "answered"),
        ("C", "0\t0", None),
        ("h", "0\t2", None),
        ("H", "2\t0", None),
        ("^h", "0\t1", None),
        ("R", "2\t0", None),
        ("DdA", "4\t2", None),
        ("hADadFf", "5\t5", None),
        ("Q", "1\t0", "attempt"),
    ],
)
def test_history_tells_more(tmp_path: Path, history: str, packets: str, what: str | None) -> None:
    assert outcome(tmp_path, record("OTH", history, packets=packets)) == what


@pytest.mark.parametrize(
    ("state", "history", "ports", "packets", "what"),
    [
        ("S0", "D", "40000\t53", "1\t0", "attempt"),
        ("SF", "Dd", "40000\t53", "1\t1", "answered"),
        ("SHR", "Cd", "40000\t53", "0\t1", "answered"),
        ("SHR", "^d", "40000\t53", "0\t1", None),
        ("OTH", "-", "40000\t53", "0\t0", None),
        ("S0", "D", "53\t40000", "1\t0", None),
    ],
)
def test_udp(tmp_path: Path, state: str, history: str, ports: str, packets: str, what: str | None) -> None:
    assert outcome(tmp_path, record(state, history, proto="udp", ports=ports, packets=packets)) == what


def test_icmp_is_a_type_and_packets(tmp_path: Path) -> None:
    lines = [
        record("OTH", "-", proto="icmp", ports="8\t0", packets="2\t2"),
        record("OTH", "-", proto="icmp", ports="13\t0", packets="1\t0"),
        record("OTH", "-", proto="icmp", ports="3\t1", packets="1\t0"),
        record("OTH", "-", proto="icmp", ports="128\t0").replace("192.0.2.7", "2001:db8::7"),
    ]
    found = read(tmp_path, ZEEK_HEADER, *lines)
    assert [(told.service, told.outcome) for told in found.told] == [
        ("icmp/echo", "attempt"),
        ("icmp/echo", "attempt"),
        ("icmp/timestamp", "attempt"),
        ("icmp6/echo", "attempt"),
        ("icmp/echo", "answered"),
    ]
    assert found.losses.unparsed == {"icmp_type/3": 1}


def test_each_packet_without_an_answer_is_a_try_up_to_a_bound(tmp_path: Path) -> None:
    lines = [record("S0", "S", packets=f"{count}\t0") for count in (0, 3, 10**15)]
    assert len(read(tmp_path, ZEEK_HEADER, *lines).told) == 1 + 3 + 16


def test_group_addresses_begin_nothing(tmp_path: Path) -> None:
    line = record("S0", "D", proto="udp").replace("198.51.100.1", "224.0.0.251")
    assert outcome(tmp_path, line) is None


def test_times_are_exact(tmp_path: Path) -> None:
    line = zeek_object(FLOWS[0]).replace(f'"ts": {START // 10**9}.000000000', '"ts": 1664462456.755299123')
    assert read(tmp_path, line).told[0].time == 1_664_462_456_755_299_123


def test_labels_and_other_columns_are_passed_over(tmp_path: Path) -> None:
    header = ZEEK_HEADER.replace("resp_pkts\n", "resp_pkts\ttunnel_parents   label   detailed-label\n")
    lines = [zeek_line(flow).replace("\n", "\t(empty)   Malicious   PartOfAScan\n") for flow in FLOWS]
    found = read(tmp_path, header, *lines, "#close\t2023-01-01-00-00-00\n")
    assert found.losses.flows == len(FLOWS)
    assert found.losses.bad_lines == ()


def test_logs_put_together_may_change_their_columns(tmp_path: Path) -> None:
    other = "#separator ,\n#fields,ts,id.resp_h,id.orig_h,id.orig_p,id.resp_p,proto,conn_state\n"
    line = "1700000009.5,198.51.100.9,192.0.2.9,1,22,tcp,S0\n"
    found = read(tmp_path, ZEEK_HEADER, zeek_line(FLOWS[0]), other, line).told
    assert [(told.source, told.target) for told in found] == [
        ("192.0.2.7", "198.51.100.1"),
        ("192.0.2.9", "198.51.100.9"),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (zeek_line(FLOWS[0]), "no #fields line before the first record"),
        ("#fields\tts\tuid\tquery\n", "its #fields lack id.orig_h, .*conn_state; of Zeek's logs give conn.log"),
    ],
)
def test_what_can_not_be_read_is_refused_with_the_reason(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / PATH
    path.write_text(text)
    with pytest.raises(CaptureError, match=why):
        read_log(path, Input.ZEEK)


def test_a_wrong_header_later_ends_the_reading(tmp_path: Path) -> None:
    found = read(tmp_path, ZEEK_HEADER, zeek_line(FLOWS[0]), "#fields\tts\n", zeek_line(FLOWS[1]))
    assert found.losses.flows == 1
    assert found.losses.damage is not None
    assert "lack" in found.losses.damage.reason


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"ts": 1', '"ts": "x1', "no JSON object"),
        ('"tcp"', "null", "proto is missing"),
        ('"S0"', '""', "conn_state is missing"),
        ('"192.0.2.7"', '"nobody"', "the source is no address"),
        ('"198.51.100.1"', "17", "the target is no address"),
        ("40000", "70000", "the source's port is no port"),
        ('"id.resp_p": 22', '"id.resp_p": [22]', "the target's port is no port"),
        ("1e-05", '"long"', "duration is no number"),
        ('"orig_pkts": 1', '"orig_pkts": -1', "orig_pkts is no number"),
        ('"duration"', "[" * 100_000 + '"duration"', "no JSON object"),
        ("1e-05", "NaN", "no JSON object"),
    ],
)
def test_bad_values_are_named(tmp_path: Path, old: str, new: str, reason: str) -> None:
    line = zeek_object(FLOWS[0])
    assert old in line
    found = read(tmp_path, zeek_object(FLOWS[1]), line.replace(old, new))
    assert [(bad.reason, bad.first, bad.count) for bad in found.losses.bad_lines] == [(reason, 2, 1)]
    assert found.losses.flows == 1
