from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.capture.inflation import InflationSpec
from service.errors import CaptureError
from tests.packets import Frame, pcap, squeezed, zipped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

START = 1_700_000_000 * 10**9
MEBIBYTE = 1 << 20
EMPTY = pcap([Frame(START, b"") for _ in range(1000)])
BOMB = EMPTY + EMPTY[24:] * 400  # 6.4 MB
LOG = b"start,source,target,service\n" + b"1700000000,192.0.2.1,192.0.2.2,tcp/443\n" * 100_000
EACH = pytest.mark.parametrize("pack", [zipped, squeezed])


def packets(file: Path, inflation: InflationSpec | None) -> int:
    source = open_traffic(file, HostTable(), inflation=inflation)
    for _ in source.batches():
        pass
    return source.losses().packets


@EACH
def test_packed_data_has_a_ratio(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "a"
    file.write_bytes(pack(BOMB))
    bound = InflationSpec(ratio=10, overlooked=MEBIBYTE)
    with pytest.raises(CaptureError, match="more than 10 times its size"):
        packets(file, bound)
    assert packets(file, InflationSpec(ratio=10, overlooked=len(BOMB))) == 401_000
    assert packets(file, None) == 401_000


@EACH
def test_packed_data_has_a_size(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "a"
    file.write_bytes(pack(BOMB))
    with pytest.raises(CaptureError, match=f"more than {len(BOMB) - 1} bytes"):
        packets(file, InflationSpec(bytes=len(BOMB) - 1))
    assert packets(file, InflationSpec(bytes=len(BOMB))) == 401_000


@EACH
def test_so_have_logs(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "a"
    file.write_bytes(pack(LOG))
    with pytest.raises(CaptureError, match="more than 50 times its size"):
        packets(file, InflationSpec(ratio=50, overlooked=MEBIBYTE))


def test_what_is_looked_at_first_counts(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(zipped(bytes(MEBIBYTE)))
    with pytest.raises(CaptureError, match="more than 1000 bytes"):
        open_traffic(file, HostTable(), inflation=InflationSpec(bytes=1000))


def test_what_is_not_packed_has_no_such_bound(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(BOMB)
    assert packets(file, InflationSpec(bytes=1000)) == 401_000


def test_real_traffic_is_far_below(example: Path, tmp_path: Path) -> None:
    """Scans have packets that look alike: the example is one."""
    for pack in (zipped, squeezed):
        assert len(pack(example.read_bytes())) > example.stat().st_size / 20


def test_what_can_not_be_packed_is_no_bomb(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(zipped(pcap([Frame(START, Random(5).randbytes(60_000)) for _ in range(50)])))
    assert packets(file, InflationSpec(ratio=2, overlooked=1)) == 50


@pytest.mark.parametrize("field", ["bytes", "ratio", "overlooked"])
def test_bounds_are_positive(field: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        InflationSpec(**{field: 0})
