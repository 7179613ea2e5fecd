from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from service.capture.inputs import Input
from service.errors import CaptureError
from tests.capture.logs.writing import FLOWS, TABLE_HEADER, table_line
from tests.capture.reading import kind_of


def test_a_capture_is_recognised(example: Path) -> None:
    assert kind_of(example) is Input.CAPTURE
    assert open_traffic(example, HostTable()).first_time() > 0


def test_the_name_goes_before_the_content(tmp_path: Path, example: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE_HEADER + table_line(FLOWS[0]))
    with pytest.raises(CaptureError, match="not a capture file"):
        open_traffic(path, HostTable(), Input.CAPTURE)
    with pytest.raises(CaptureError, match="its first line names no column"):
        open_traffic(example, HostTable(), Input.CSV).first_time()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the file is empty"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (b"\x1f\x8b" + bytes(50), "the packed data is damaged"),
        (b"\x7fELF" + bytes(50), "it begins with 7f 45 4c 46"),
        (b"From: me\nTo: you\n", "it begins with 'From: me'"),
        (b'{"id.orig_h": "192.0.2.1", "query": "example.org"}\n', "it begins with"),
    ],
)
def test_what_is_not_known_is_refused_with_its_beginning(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=r"/a: ") as caught:
        kind_of(path)
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        kind_of(tmp_path / "missing.log")
