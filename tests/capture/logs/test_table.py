from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.capture.inputs import Input
from service.capture.logs.table import NAMES, OUTCOMES
from service.errors import CaptureError
from tests.capture.logs.writing import Read, read_log

if TYPE_CHECKING:
    from pathlib import Path


def read(tmp_path: Path, *lines: str) -> Read:
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines) + "\n")
    return read_log(path, Input.CSV)


VALUES = {
    "time": "2023-11-14 22:13:20",
    "source": "192.0.2.7",
    "target": "198.51.100.1",
    "service": "tcp/22",
    "protocol": "tcp",
    "port": "22",
}


@pytest.mark.parametrize(("meaning", "name"), [(meaning, name) for meaning in VALUES for name in NAMES[meaning]])
def test_every_name_is_accepted(tmp_path: Path, meaning: str, name: str) -> None:
    others = [
        "time",
        "source",
        "target",
        *(["service"] if meaning in ("time", "source", "target", "service") else []),
    ]
    wanted = {what: what for what in (others if "service" in others else [*others, "protocol", "port"])}
    wanted[meaning] = name.upper()
    found = read(tmp_path, ",".join(wanted.values()), ",".join(VALUES[what] for what in wanted))
    assert [(told.source, told.target, told.service) for told in found.told] == [
        ("192.0.2.7", "198.51.100.1", "tcp/22")
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_quotes_and_spaces(tmp_path: Path, separator: str) -> None:
    header = separator.join(['"Src IP"', "Dst-IP", "dst.port", "Proto", "Timestamp", "note"])
    line = separator.join([" 192.0.2.7 ", '"198.51.100.1"', "443.0", "6", "1700000000000", f'"a{separator}""b"'])
    (told,) = read(tmp_path, header, line).told
    assert (told.source, told.service, told.time) == ("192.0.2.7", "tcp/443", 1_700_000_000 * 10**9)


def test_a_quote_without_its_end_costs_its_line(tmp_path: Path) -> None:
    line = "1700000000,192.0.2.7,198.51.100.1,tcp/22"
    found = read(tmp_path, "time,source,target,service", line, '"' + line, line)
    assert len(found.told) == 2
    assert [(bad.first, bad.count) for bad in found.losses.bad_lines] == [(3, 1)]


def test_honeypots_may_write_numbers_and_names(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        "datetime,host,src,proto,type,spt,dpt",
        "2013-03-03 21:53:59,pot-west,3221225991,TCP,,6000,1433",
        "2013-03-03 21:54:00,pot-east,3221225991,TCP,,6000,1433",
        "2013-03-03 21:54:01,pot-east,3221225991,ICMP,8,,",
        "2013-03-03 21:54:02,pot-east,3221225991,ICMP,11,,",
    )
    assert [(told.source, told.service) for told in found.told] == [
        ("192.0.2.7", "tcp/1433"),
        ("192.0.2.7", "tcp/1433"),
        ("192.0.2.7", "icmp/echo"),
    ]
    assert len({told.target for told in found.told}) == 2
    assert found.losses.unparsed == {"icmp_type/11": 1}


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("yes", ["attempt", "answered"]),
        ("DENY", ["attempt", "refused"]),
        ("0", ["attempt"]),
        ("", ["attempt"]),
        ("OTH", []),
    ],
)
def test_outcomes(tmp_path: Path, word: str, what: list[str]) -> None:
    assert word.lower() in OUTCOMES
    found = read(tmp_path, "time,source,target,service,action", f"1,192.0.2.7,198.51.100.1,tcp/22,{word}")
    assert [told.outcome for told in found.told] == what


def test_packets_that_came_back_are_an_answer(tmp_path: Path) -> None:
    lines = [f"1,192.0.2.7,198.51.100.1,udp/53,2,{back}" for back in (0, 1)]
    found = read(tmp_path, "time,source,target,service,packets,returned", *lines)
    assert [told.outcome for told in found.told] == ["attempt", "attempt", "attempt", "answered"]


def test_services_of_other_means(tmp_path: Path) -> None:
    lines = [f"1,192.0.2.7,198.51.100.1,{service}" for service in ("icmp/echo", "arp/request")]
    found = read(tmp_path, "time,source,target,service", *lines)
    assert [told.service for told in found.told] == ["icmp/echo", "arp/request"]


def test_an_unknown_outcome_is_bad(tmp_path: Path) -> None:
    lines = [f"1,192.0.2.7,198.51.100.1,tcp/22,{word}" for word in ("yes", "Utah")]
    found = read(tmp_path, "time,source,target,service,state", *lines)
    assert [bad.reason for bad in found.losses.bad_lines] == ["the outcome is no word for one"]


def test_a_source_has_to_be_an_address(tmp_path: Path) -> None:
    lines = [f"1,{source},198.51.100.1,tcp/22" for source in ("192.0.2.7", "laptop")]
    found = read(tmp_path, "time,source,target,service", *lines)
    assert [bad.reason for bad in found.losses.bad_lines] == ["the source is no address"]


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("a,b", "time, source, target, protocol, port"),
        ("time,source,target,port", "protocol"),
        ("ip,class", "time, source, target, protocol, port"),
    ],
)
def test_missing_columns_are_named(tmp_path: Path, header: str, missing: str) -> None:
    with pytest.raises(CaptureError, match=f"names no column for: {missing}; see"):
        read(tmp_path, header, "1,2,3,4")
