from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from service.capture.batch import UNKNOWN, FlowBatch
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.capture.inputs import Input
from service.errors import CaptureError
from tests.capture.logs.writing import FLOWS, NFDUMP_HEADER, START, nfdump_lines, read_log
from tests.capture.reading import kind_of

if TYPE_CHECKING:
    from pathlib import Path


def batch(tmp_path: Path, *lines: str) -> FlowBatch:
    path = tmp_path / "a.csv"
    path.write_text(NFDUMP_HEADER + "".join(lines))
    (found,) = open_traffic(path, HostTable()).batches()
    assert isinstance(found, FlowBatch)
    return found


def record(proto: str = "TCP", port: str = "22", packets: str = "3,120,0,0", flags: str = "...AP.SF") -> str:
    time = "2023-11-14 22:13:20,2023-11-14 22:13:25,4.5"
    return f"{time},192.0.2.7,198.51.100.1,40000,{port},{proto},{flags},0,0,{packets}\n"


def test_records_are_one_direction_with_their_flags(tmp_path: Path) -> None:
    found = batch(tmp_path, record(), record(flags="......S."))
    assert found.flags.tolist() == [0x1B, 0x02]
    assert not found.directed.any()
    assert found.time.tolist() == [START] * 2
    assert found.end.tolist() == [START + 5 * 10**9] * 2


def test_packets_stand_in_either_column(tmp_path: Path) -> None:
    found = batch(tmp_path, record(), record(packets="0,0,7,280"), record(packets="3,120,2,80"))
    assert found.packets.tolist() == [3, 7, 3]
    assert found.returned.tolist() == [UNKNOWN, UNKNOWN, 2]


def test_icmp_goes_to_its_service_and_comes_back_from_it(tmp_path: Path) -> None:
    lines = [record("ICMP", port) for port in ("8.0", "2048", "0.0")]
    found = batch(tmp_path, *lines, record("ICMP", "771"))
    np.testing.assert_array_equal(found.target_port, [8, 8, 0])
    np.testing.assert_array_equal(found.source_port, [0, 0, 8])


def test_the_summary_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    summary = "Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n1,40,1,0,0,0\n"
    one = NFDUMP_HEADER + nfdump_lines(FLOWS[0]) + summary
    path.write_text(one + one)
    read = read_log(path)
    assert (read.losses.flows, read.losses.bad_lines) == (2, ())


def test_no_flows_are_no_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(NFDUMP_HEADER + "No matching flows\n")
    assert read_log(path).losses.flows == 0


@pytest.mark.parametrize("kind", [None, Input.NFDUMP])
def test_binary_files_are_refused_with_the_command_to_give(tmp_path: Path, kind: Input | None) -> None:
    path = tmp_path / "nfcapd.202311142210"
    path.write_bytes(b"\x0c\xa5\x02\x00" + bytes(200))
    assert kind_of(path) is Input.NFDUMP
    with pytest.raises(CaptureError, match=r"nfdump -r nfcapd\.202311142210 -o csv"):
        open_traffic(path, HostTable(), kind)
