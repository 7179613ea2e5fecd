from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from service.capture.hosts import HostTable
from service.capture.netflow import Exports
from service.export.document import alert_document
from service.pipeline import PipelineSpec
from service.scan import scan_captures
from service.store.memory import MemoryStore
from service.store.repository import AlertQuery
from service.store.sql import SqlStore
from tests.capture.exports import Row, rows_of
from tests.conftest import REPOSITORY
from tests.integration.exporters import ENOUGH, export, exported, skip_if_small, told_by_nfdump

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_FLAGS = "CEUAPRSF"  # nfdump's letters, highest bit first
_ERRORS = {"icmp_type/3": 7}
_NEIGHBOURS = {"icmp6_type/133": 22, "icmp6_type/135": 11, "icmp6_type/136": 2, "icmp6_type/143": 24}


def read(datagrams: list[bytes]) -> tuple[list[Row], dict[str, int]]:
    hosts = HostTable()
    exports = Exports(hosts)
    rows = rows_of(exports.read(datagrams), hosts, 0)
    return rows + rows_of(exports.finish(), hosts, 0), exports.losses()


def as_nfdump(row: Row) -> tuple[object, ...]:
    """Return a flow as nfdump tells it: a ping's type is in the target's port, if its types are read at all."""
    start = datetime.fromtimestamp(int(row.start), UTC).strftime("%Y-%m-%d %H:%M:%S")
    flags = "".join(letter if row.flags & 0xFF & 128 >> at else "." for at, letter in enumerate(_FLAGS))
    ports = (row.source_port, row.target_port)
    if row.protocol.startswith("icmp"):
        ports = (0, 8 << 8 if row.protocol == "icmp" and ports == (0, 8) else 0)
    return (start, row.source, row.target, *ports, row.protocol.upper(), flags, row.packets)


def of_nfdump(row: dict[str, str]) -> tuple[object, ...]:
    ports = (0, 0) if row["pr"] == "ICMP6" else (int(row["sp"]), int(row["dp"]))  # read from IPFIX only
    return (row["ts"], row["sa"], row["da"], *ports, row["pr"].strip(), row["flg"], int(row["ipkt"]))


@pytest.mark.parametrize("options", [("5",), ("9",), ("10", "-A", "milli")], ids=["v5", "v9", "IPFIX"])
def test_flows_of_softflowd_are_those_that_nfdump_tells(
    options: tuple[str, ...], example: Path, tmp_path: Path
) -> None:
    datagrams = exported(example, tmp_path, "-v", *options)
    rows, losses = read(datagrams)
    assert losses == (_ERRORS if options == ("5",) else _ERRORS | _NEIGHBOURS)
    assert len(rows) > 13_000
    ours = Counter(map(as_nfdump, rows))
    theirs = Counter(map(of_nfdump, told_by_nfdump(datagrams, tmp_path / "nfcapd")))
    assert not ours - theirs
    assert (theirs - ours).total() == sum(losses.values())


def test_all_versions_tell_the_same(example: Path, tmp_path: Path) -> None:
    v5, v9, uptimes, milliseconds = (
        Counter(replace(row, start=round(row.start), end=round(row.end)) for row in read(datagrams)[0])
        for options in (("5",), ("9",), ("10",), ("10", "-A", "milli"))
        for datagrams in [exported(example, tmp_path, "-v", *options)]
    )
    assert v9.total() == uptimes.total() == milliseconds.total() > v5.total()
    assert not untimed(v5) - untimed(v9)
    assert untimed(v9) == untimed(uptimes) == untimed(milliseconds)
    # Headers of v9 have whole seconds only: all flows are up to one second early.
    assert (uptimes - milliseconds).total() < 0.2 * uptimes.total()


def untimed(rows: Counter[Row]) -> Counter[Row]:
    told: Counter[Row] = Counter()
    for row, count in rows.items():
        told[replace(row, start=0, end=0)] += count
    return told


@pytest.fixture(scope="module")
def scanned(example: Path) -> set[tuple[str, ...]]:
    """Return what a scan of the packets names."""
    store = MemoryStore()
    scan_captures([example], "local", PipelineSpec(), store)
    with store.read() as unit:
        return named(alert_document(alert) for alert in unit.alerts(AlertQuery()).items)


@pytest.mark.parametrize("options", [("5",), ("9",), ("10",), ("10", "-b")], ids=["v5", "v9", "IPFIX", "two-way"])
def test_the_collector_names_the_scanners_that_the_packets_name(
    options: tuple[str, ...], scanned: set[tuple[str, ...]], example: Path, tmp_path: Path
) -> None:
    assert named(collect(example, tmp_path, "-v", *options)) == scanned


def named(alerts: Iterable[dict[str, Any]]) -> set[tuple[str, ...]]:
    return {(alert["kind"], *alert["sources"], str(alert["targets_exact"] and alert["pairs"])) for alert in alerts}


def collect(capture: Path, folder: Path, *options: str) -> list[dict[str, Any]]:
    """Run `yocho collect` as a user does, let softflowd export to it, interrupt it, and return the alerts kept."""
    database = folder / "kept.db"
    program = "from service.wiring import main; main()"
    arguments = [
        "collect",
        "--listen",
        "udp://127.0.0.1:0",
        "--database",
        str(database),
        "--sensor",
        "127.0.0.1=edge",
    ]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)},
    ) as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        assert first["message"] == "collector listening"
        if first["receive_buffer"] >= ENOUGH:
            export(capture, first["port"], folder, *options)
        process.send_signal(signal.SIGTERM)
        logs = [json.loads(line) for line in process.stderr]
    assert process.returncode == 0
    skip_if_small(first["receive_buffer"])
    assert (logs[-1]["message"], logs[-1]["dropped_by_kernel"], logs[-1]["dropped_in_queue"]) == (
        "collector stopped",
        0,
        0,
    )
    assert {log["sensor"] for log in logs if log["message"] == "window kept"} == {"edge"}
    store = SqlStore(f"sqlite:///{database}")
    try:
        with store.read() as unit:
            return [alert_document(alert) for alert in unit.alerts(AlertQuery(limit=100)).items]
    finally:
        store.close()
