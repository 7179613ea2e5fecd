from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.capture.inputs import Input
from service.errors import CaptureError
from tests.capture.frames import ETHER, SYN, V4, built
from tests.packets import START, Frame, pcap

if TYPE_CHECKING:
    from pathlib import Path

WRITTEN = {
    "snoop": "snoop",
    "netmon1": "Network Monitor 1",
    "netmon2": "Network Monitor 2",
    "ngsniffer": "the Sniffer",
}


@pytest.mark.parametrize("kind", [None, Input.CAPTURE])
def test_a_capture_of_snoop_is_refused_with_what_to_do(tmp_path: Path, kind: Input | None) -> None:
    path = tmp_path / "a.snoop"
    path.write_bytes(b"snoop\0\0\0\0\0\0\2\0\0\0\4")
    with pytest.raises(
        CaptureError, match=r"a\.snoop: a capture of Solaris' snoop; convert it with .*editcap -F pcap$"
    ):
        open_traffic(path, HostTable(), kind)


@pytest.mark.skipif(shutil.which("editcap") is None, reason="editcap is not installed")
@pytest.mark.parametrize("form", WRITTEN)
def test_the_advice_works(tmp_path: Path, form: str) -> None:
    plain, other = tmp_path / "a.pcap", tmp_path / "a.other"
    plain.write_bytes(pcap([Frame(START, built(ETHER / V4 / SYN))]))
    subprocess.run(["editcap", "-F", form, plain, other], check=True, capture_output=True)
    with pytest.raises(CaptureError, match=WRITTEN[form]):
        open_traffic(other, HostTable())
    subprocess.run(["editcap", "-F", "pcap", other, plain], check=True, capture_output=True)
    assert [len(batch) for batch in open_traffic(plain, HostTable()).batches()] == [1]
