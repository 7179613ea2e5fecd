from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.capture.inputs import Input
from service.errors import CaptureError
from tests.capture.logs.writing import FLOWS, START, VPC_HEADER, Read, read_log, vpc_lines, vpc_rejected
from tests.capture.reading import kind_of

if TYPE_CHECKING:
    from pathlib import Path


def read(tmp_path: Path, *lines: str) -> Read:
    path = tmp_path / "a.log"
    path.write_text("".join(lines))
    return read_log(path)


def test_version_2_needs_no_header(tmp_path: Path) -> None:
    found = read(tmp_path, vpc_rejected(FLOWS[0]), vpc_rejected(FLOWS[2]))
    assert [(told.time, told.source, told.service, told.outcome) for told in found.told] == [
        (START, "192.0.2.7", "tcp/22", "attempt"),
        (START + 2 * 10**9, "2001:db8::7", "tcp/8080", "attempt"),
    ]


def test_a_first_record_without_data_is_recognised(tmp_path: Path) -> None:
    nothing = "2 123456789010 eni-1 - - - - - - - 1431280876 1431280934 - NODATA\n"
    skipped = nothing.replace("NODATA", "SKIPDATA")
    path = tmp_path / "a.log"
    path.write_text(nothing + skipped + vpc_rejected(FLOWS[0]))
    assert kind_of(path) is Input.VPC
    found = read_log(path)
    assert found.losses.unparsed == {"nodata": 1, "skipdata": 1}
    assert found.losses.bad_lines == ()
    assert len(found.told) == 1


def test_fields_may_be_named_and_change(tmp_path: Path) -> None:
    other = "dstaddr srcaddr dstport srcport protocol packets start end action\n"
    record = f"198.51.100.9 192.0.2.9 23 40000 6 1 {START // 10**9} {START // 10**9} REJECT\n"
    found = read(tmp_path, VPC_HEADER, vpc_lines(FLOWS[0]), other, record)
    assert sorted((told.source, told.service) for told in found.told if told.outcome == "attempt") == [
        ("192.0.2.7", "tcp/22"),
        ("192.0.2.9", "tcp/23"),
    ]


def test_icmp_without_its_type_counts_only_if_rejected(tmp_path: Path) -> None:
    ping = vpc_rejected(FLOWS[0]).replace(" 40000 22 6 ", " 0 0 1 ")
    found = read(tmp_path, ping, ping.replace("REJECT", "ACCEPT"))
    assert [(told.service, told.outcome) for told in found.told] == [
        ("icmp/echo", "attempt"),
        ("icmp/echo", "refused"),
    ]
    assert found.losses.unparsed == {"icmp_of_unknown_type": 1}


def test_other_actions_are_bad(tmp_path: Path) -> None:
    found = read(tmp_path, vpc_rejected(FLOWS[0]), vpc_rejected(FLOWS[0]).replace("REJECT", "PERHAPS"))
    assert [bad.reason for bad in found.losses.bad_lines] == ["action is neither ACCEPT nor REJECT"]


def test_fields_that_are_needed_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("version srcaddr dstaddr\n")
    with pytest.raises(CaptureError, match=r"line 1: its fields lack srcport, dstport, .*; log them, too"):
        read_log(path, Input.VPC)
