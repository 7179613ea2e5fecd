from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest

from service.errors import FullError, StoreError
from service.work.scratch import scratch
from tests.disks import small_files


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with scratch(tmp_path) as file:
        file.write(b"abc")
        file.write(bytes(3_000_000))
        file.rewind()
        assert file.read(3) == b"abc"
        assert file.read(1 << 30) == bytes(3_000_000)
        assert file.read(1) == b""
        assert list(tmp_path.iterdir()) == []


def test_a_full_disk_shows_when_something_is_written(tmp_path: Path) -> None:
    with scratch(tmp_path) as file, small_files(1 << 16), pytest.raises(FullError, match="has no room left"):
        file.write(bytes(1 << 17))
        # And not once more when it is closed.


def test_a_full_disk_shows_when_a_file_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(FullError, match="No space left on device"), scratch(None):
        pytest.fail("it was made")


def test_a_folder_that_is_gone_is_no_full_disk(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file") as error, scratch(tmp_path / "gone"):
        pytest.fail("it was made")
    assert not isinstance(error.value, FullError)
