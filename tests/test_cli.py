from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import GRE

from service.capture.inputs import Input
from service.commands.screen import ReportFormat
from service.export.formats import Format
from tests.capture.frames import ETHER, built
from tests.capture.wrapping import OUTER4
from tests.conftest import Run
from tests.packets import START, Frame, pcap, squeezed, zipped


def test_jsonl_is_one_alert_a_line_and_the_summary_last(yocho: Run, example: Path) -> None:
    done = yocho("scan", "--format", "jsonl", example)
    assert (done.returncode, done.stderr) == (0, "")
    *alerts, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert {alert["kind"] for alert in alerts} == {"vertical", "horizontal", "block"}
    assert all(alert["sources"] and alert["reason"] and alert["technique"] for alert in alerts)
    summary = last["summary"]
    assert summary["packets"] == 29705
    assert summary["alerts"] == len(alerts)
    for field in ("attempts", "windows", "sources", "services", "unparsed"):
        assert summary[field]


@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("ecs", '{"@timestamp": "'),
        ("stix", '{"type": "bundle", "id": "bundle--'),
        ("csv", "id,sensor,kind,severity,sources,"),
        ("blocklist", "# Yocho 0."),
    ],
)
def test_alerts_are_written_for_other_programs(yocho: Run, example: Path, form: str, beginning: str) -> None:
    done = yocho("scan", "--format", form, example)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(beginning)
    assert "10.20.0.101" in done.stdout


def test_a_scan_is_written_in_every_format() -> None:
    assert {form.value for form in ReportFormat} == {"table", *(form.value for form in Format)}


def test_tables_show_scans_reasons_and_patterns_and_no_progress_in_a_pipe(yocho: Run, example: Path) -> None:
    done = yocho("scan", example)
    assert (done.returncode, done.stderr) == (0, "")
    for text in ("Scans", "Port patterns", "10.20.0.101 tried tcp/1-1000 on", "T1046", "29705 packets"):
        assert text in done.stdout


def test_a_longer_window_is_a_setting(yocho: Run, example: Path) -> None:
    done = yocho("scan", "--window", "86400", "--format", "jsonl", example)
    assert json.loads(done.stdout.splitlines()[-1])["summary"]["windows"] == 1


def test_what_is_saved_is_found_again(yocho: Run, example: Path, tmp_path: Path) -> None:
    first = yocho("scan", "--save", "kept.db", "--format", "jsonl", example)
    again = yocho("scan", "--save", "kept.db", "--format", "jsonl", example)
    assert first.returncode == again.returncode == 0
    assert first.stdout == again.stdout
    assert (tmp_path / "kept.db").stat().st_size > 10_000


def test_a_file_that_is_no_capture_is_one_line_and_code_2(yocho: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello, I am a text")
    done = yocho("scan", "notes.txt")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "yocho: notes.txt: no capture or log that is known: it begins with 'hello, I am a text'; "
        "give pcap, pcapng, or flows of Zeek, Suricata, nfdump, Argus, AWS VPC or in named columns; "
        "if it is one, name it with --input"
    ]


@pytest.mark.parametrize("pack", [bytes, zipped, squeezed])
def test_standard_input_is_read_as_a_file_is(yocho: Run, example: Path, pack: Callable[[bytes], bytes]) -> None:
    piped = yocho("scan", "--format", "jsonl", "-", piped=pack(example.read_bytes()))
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout == yocho("scan", "--format", "jsonl", example).stdout


def test_of_a_folder_what_is_no_capture_is_named_in_one_line(yocho: Run, example: Path, tmp_path: Path) -> None:
    (tmp_path / "lab" / "deep").mkdir(parents=True)
    (tmp_path / "lab" / "deep" / "a.pcap.zst").write_bytes(squeezed(example.read_bytes()))
    for i in range(12):
        (tmp_path / "lab" / f"note{i:02}.txt").write_text("hello, I am a text")
    done = yocho("scan", "--format", "jsonl", "lab")
    assert done.returncode == 0
    named = ", ".join(f"lab/note{i:02}.txt" for i in range(10))
    assert done.stderr.splitlines() == [f"yocho: skipped, no captures: {named} and 2 more"]
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert summary["packets"] == 29705
    assert len(summary["skipped"]) == 12


def test_tunnels_are_read_through_or_not(yocho: Run, tmp_path: Path) -> None:
    probes = [IP(src="192.0.2.7", dst="198.51.100.9") / TCP(sport=40000, dport=port) for port in range(1, 65)]
    frames = [Frame(START + i * 1000, built(ETHER / OUTER4 / GRE() / probe)) for i, probe in enumerate(probes)]
    (tmp_path / "a.pcap").write_bytes(pcap(frames))
    inner = yocho("scan", "--format", "jsonl", "a.pcap").stdout.splitlines()
    assert json.loads(inner[0])["sources"] == ["192.0.2.7"]
    assert json.loads(inner[-1])["summary"]["tunnelled"] == {"gre": 64}
    assert "Read through tunnels: gre 64" in yocho("scan", "a.pcap").stdout
    (outer,) = yocho("scan", "--format", "jsonl", "--tunnels", "outer", "a.pcap").stdout.splitlines()
    assert json.loads(outer)["summary"]["unparsed"] == {"ip_protocol/47": 64}


def test_a_missing_file_is_one_line_and_code_2(yocho: Run) -> None:
    done = yocho("scan", "nowhere.pcap")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere.pcap: can't be read: No such file" in done.stderr


def test_a_damaged_file_is_read_up_to_the_damage_and_said(yocho: Run, example: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.pcap").write_bytes(example.read_bytes()[:1_000_001])
    done = yocho("scan", "--format", "jsonl", "cut.pcap")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("yocho: cut.pcap: byte ")
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    assert summary["packets"] > 10_000
    assert summary["damage"][0]["file"] == "cut.pcap"


def test_a_log_is_read_as_flows_and_bad_lines_are_said(yocho: Run, tmp_path: Path) -> None:
    lines = [f"{1_700_000_000 + port},192.0.2.7,198.51.100.1,tcp/{port}" for port in range(1, 31)]
    (tmp_path / "log.csv").write_text(
        "\n".join(["time,source,target,service", *lines, "soon,x,y,z", "later,x,y,z"])
    )
    done = yocho("scan", "--input", "csv", "--format", "jsonl", "log.csv")
    assert done.returncode == 0
    alert, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert (alert["kind"], alert["sources"]) == ("vertical", ["192.0.2.7"])
    summary = last["summary"]
    assert summary["flows"] == 30
    assert "packets" not in summary
    assert summary["bad_lines"] == [{"file": "log.csv", "reason": "the time is no time", "count": 2, "first": 32}]
    assert done.stderr.splitlines() == [
        "yocho: log.csv: 2 lines: the time is no time; the first is line 32; the others were read"
    ]
    assert "30 flows, 30 attempts" in yocho("scan", "log.csv").stdout


def test_the_kind_of_input_is_chosen_among_those_in_the_help(yocho: Run, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,source,target,service\n")
    shown = yocho("scan", "--help").stdout
    assert all(kind.value in shown for kind in Input)
    done = yocho("scan", "--input", "zeek", "a.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "yocho: a.csv: there is no #fields line before the first record; give the log with its header"
    ]


def test_wrong_settings_stop_the_start_with_one_line(yocho: Run, example: Path) -> None:
    assert yocho("scan", "--window", "0", example).returncode == 2
    assert yocho("serve", "--port", "65536").returncode == 2


def test_help_has_examples_and_the_version_is_shown(yocho: Run) -> None:
    assert "yocho scan capture.pcap" in yocho("--help").stdout
    assert yocho("--version").stdout.startswith("yocho 0.")


def test_where_to_collect_and_from_whom_is_checked(yocho: Run) -> None:
    for arguments, why in (
        (("--listen", "tcp://0.0.0.0:2055"), "not of the form udp://ADDRESS:PORT"),
        (("--listen", "udp://0.0.0.0"), "not of the form udp://ADDRESS:PORT"),
        (("--listen", "udp://0.0.0.0:99999"), "not of the form udp://ADDRESS:PORT"),
        (("--listen", "udp://192.0.2.1:2055"), "can't listen on udp://192.0.2.1:2055: Cannot assign"),
        (("--sensor", "office=192.0.2.1"), "not of the form ADDRESS=NAME"),
        (("--sensor", "192.0.2.1"), "not of the form ADDRESS=NAME"),
    ):
        done = yocho("collect", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert why in line


def test_scanners_on_the_allow_list_are_counted_and_not_told(yocho: Run, example: Path, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.write_text("10.20.0.106 tcp/1-100  # the vulnerability scanner\n10.20.0.96/28 icmp/echo\n")
    run = yocho("scan", "--format", "jsonl", str(example), allow_list=str(allowed))
    *alerts, summary = map(json.loads, run.stdout.splitlines())
    named = {source for alert in alerts for source in alert["sources"]}
    assert (len(alerts), summary["summary"]["alerts"], summary["summary"]["allowed"]) == (9, 9, 3)
    assert "10.20.0.106" not in named
    assert "10.20.0.105" in named  # it did more than ping

    run = yocho("scan", str(example), allow_list=str(tmp_path / "missing"))
    assert (run.returncode, run.stdout) == (2, "")
    assert "missing: No such file" in run.stderr
