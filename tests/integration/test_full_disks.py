"""Disks that are really full: of the database, and of the files that uploads are read from."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.api.posts import WINDOW
from tests.integration.serving import Served, await_true, served

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MEBIBYTE = 1 << 20
PCAP = {"Content-Type": "application/vnd.tcpdump.pcap"}
MOUNTED = 'mount -t tmpfs -o size="$1" tmpfs "$2" && cd "$3" && shift 3 && exec "$@"'


def with_a_disk(size: int, place: Path, folder: Path) -> Sequence[str]:
    """Return a command that begins another one in a folder, with a disk of its own at a place."""
    apart = ["unshare", "--mount", "--propagation", "private"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*apart, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("nothing can be mounted here: that takes root, or a namespace of users")
    return [*apart, "sh", "-c", MOUNTED, "sh", str(size), str(place), str(folder)]


def fill(server: Served, place: Path, *, left: int) -> Path:
    """Fill a disk of the server, except for some bytes; return the file that does."""
    seen = type(place)(f"/proc/{server.process.pid}/root{place}")
    filler, disk = seen / "filler", os.statvfs(seen)
    filler.write_bytes(bytes(disk.f_bavail * disk.f_frsize - left))
    return filler


def post(server: Served, content: bytes, **headers: str) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/windows", content=content, headers=headers, timeout=60)


def counts(minute: int) -> bytes:
    times: dict[str, Any] = {"start": 1_800_000_000 + 60 * minute, "end": 1_800_000_060 + 60 * minute}
    return json.dumps(WINDOW | times).encode()


def is_done(server: Served, answer: httpx.Response) -> bool:
    return bool(server.get(answer.json()["url"]).json()["state"] == "done")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    place = tmp_path / "disk"
    place.mkdir()
    return place


def test_a_full_disk_of_the_database_refuses_and_loses_nothing(disk: Path) -> None:
    launcher = with_a_disk(24 * MEBIBYTE, disk, disk)
    with served(
        disk, complaint="no room is left", launcher=launcher, worker=True, min_free_bytes=2 * MEBIBYTE
    ) as server:
        await_true(lambda: server.get("/readyz").status_code == 200)
        accepted = [post(server, counts(minute), **{"Content-Type": "application/json"}) for minute in range(3)]
        assert {answer.status_code for answer in accepted} == {202}
        filler = fill(server, disk, left=0)
        refused = post(server, os.urandom(8 * MEBIBYTE), **PCAP)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "30")
        assert "no room is left" in refused.json()["detail"]
        ready = server.get("/readyz")
        assert ready.status_code == 503
        assert "the disk is full but for 0 MiB" in ready.json()["detail"]
        # What can be read still can.
        assert server.get("/v1/status").status_code == 200
        filler.unlink()
        await_true(lambda: server.get("/readyz").status_code == 200)
        after = post(server, counts(3), **{"Content-Type": "application/json"})
        assert after.status_code == 202
        await_true(lambda: all(is_done(server, answer) for answer in (*accepted, after)))


def test_a_full_disk_of_temporary_files_lets_uploads_wait(disk: Path, tmp_path: Path, example: Path) -> None:
    launcher = ["env", f"TMPDIR={disk}", *with_a_disk(16 * MEBIBYTE, disk, tmp_path)]
    with served(
        tmp_path, complaint="an upload has to wait", launcher=launcher, worker=True, min_free_bytes=2 * MEBIBYTE
    ) as server:
        await_true(lambda: server.get("/readyz").status_code == 200)
        filler = fill(server, disk, left=MEBIBYTE)
        upload = post(server, example.read_bytes(), **PCAP)
        window = post(server, counts(0), **{"Content-Type": "application/json"})
        assert (upload.status_code, window.status_code) == (202, 202)
        await_true(lambda: is_done(server, window))
        assert not is_done(server, upload)
        assert server.get("/readyz").status_code == 503
        filler.unlink()
        await_true(lambda: is_done(server, upload))
        assert server.get("/readyz").status_code == 200
        assert server.figure("yocho_job_seconds_count", kind="upload", outcome="failed") == 0
