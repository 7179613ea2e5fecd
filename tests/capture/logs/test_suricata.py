from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.capture.logs.writing import FLOWS, Read, read_log, suricata_line

if TYPE_CHECKING:
    from pathlib import Path


def read(tmp_path: Path, *events: dict[str, Any]) -> Read:
    path = tmp_path / "eve.json"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return read_log(path)


def event(**changes: Any) -> dict[str, Any]:
    return {**json.loads(suricata_line(FLOWS[0])), **changes}


def test_other_events_are_skipped_and_counted(tmp_path: Path) -> None:
    found = read(tmp_path, event(event_type="dns"), event(event_type="alert"), event(), event(event_type="dns"))
    assert found.losses.unparsed == {"event_type/dns": 2, "event_type/alert": 1}
    assert found.losses.flows == 4
    assert len(found.told) == 1


@pytest.mark.parametrize(
    ("there", "back", "packets", "what"),
    [
        ("02", "00", (1, 0), ["attempt"]),
        ("02", "14", (1, 1), ["attempt", "refused"]),
        ("06", "12", (2, 1), ["attempt", "answered", "hung_up"]),
        ("1a", "1b", (5, 5), ["attempt", "answered"]),
        ("18", "18", (5, 5), []),
        ("00", "00", (1, 1), ["attempt", "answered"]),
        ("zz", "0", (1, 0), ["attempt"]),
    ],
)
def test_flags_tell_what_became_of_tcp(
    tmp_path: Path, there: str, back: str, packets: tuple[int, int], what: list[str]
) -> None:
    tcp = {"tcp_flags_ts": there, "tcp_flags_tc": back}
    flow = {**event()["flow"], "pkts_toserver": packets[0], "pkts_toclient": packets[1]}
    assert [told.outcome for told in read(tmp_path, event(tcp=tcp, flow=flow)).told] == what


def test_untracked_answers_begin_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, event(src_port=443, dest_port=50000, tcp={}))
    assert found.told == []


def test_icmp_has_types(tmp_path: Path) -> None:
    ping = event(proto="ICMP", icmp_type=8, icmp_code=0)
    del ping["src_port"], ping["dest_port"]
    six = {**ping, "proto": "IPv6-ICMP", "icmp_type": 128, "src_ip": "2001:db8::1", "dest_ip": "2001:db8::2"}
    found = read(tmp_path, ping, six, {**ping, "icmp_type": 3})
    assert [told.service for told in found.told] == ["icmp/echo", "icmp6/echo"]
    assert found.losses.unparsed == {"icmp_type/3": 1}


def test_zones_count(tmp_path: Path) -> None:
    flow = {**event()["flow"], "start": "2015-10-20T11:24:10.230829-0600", "end": "2015-10-20T11:24:46.195059-0600"}
    assert read(tmp_path, event(flow=flow)).told[0].time == 1_445_361_850_230_829_000


def test_a_flow_without_its_times_is_bad(tmp_path: Path) -> None:
    found = read(tmp_path, event(), event(flow={"start": "yesterday"}), event(flow=7))
    assert [(bad.reason, bad.first, bad.count) for bad in found.losses.bad_lines] == [
        ("flow.start is no time", 2, 2)
    ]
