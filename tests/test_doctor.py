from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.doctor import Check, DoctorSpec, Grade, database_folder, diagnose
from service.store.repository import MemoryKey, Part, WindowRecord
from service.store.sql import SqlStore
from tests.builders import MINUTE, START, a_window
from tests.disks import small_files


@pytest.fixture
def spec(tmp_path: Path) -> DoctorSpec:
    return DoctorSpec(f"sqlite:///{tmp_path / 'a.db'}", "127.0.0.1", 0, min_free_bytes=0)


@pytest.fixture
def store(spec: DoctorSpec) -> Iterator[SqlStore]:
    store = SqlStore(spec.database)
    window = a_window("s", START)
    with store.begin() as unit:
        unit.add_window(WindowRecord(window, window.digest(), (), ()))
    yield store
    store.close()


def found(spec: DoctorSpec, now: int = START + 2 * MINUTE) -> dict[str, Check]:
    return {check.name: check for check in diagnose(spec, lambda: now)}


def test_where_nothing_is_yet_nothing_fails_and_nothing_is_made(spec: DoctorSpec, tmp_path: Path) -> None:
    checks = found(spec)
    assert list(checks) == [
        "permissions",
        "interface",
        "store",
        "clock source",
        "disk",
        "temporary files",
        "compiled loops",
        "allow-list",
        "port",
    ]
    assert [check for check in checks.values() if check.grade is Grade.FAIL] == []
    assert checks["store"].found.endswith("a.db is not there yet, and will be made")
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_written_to_and_left_as_it_was(spec: DoctorSpec, store: SqlStore) -> None:
    checks = found(spec)
    assert checks["store"].found.startswith("opens, has this version's layout, and takes writes")
    assert checks["clock"] == Check("clock", Grade.OK, "the latest window ended 60 s ago")
    with store.read() as reader:
        assert reader.memory_window(MemoryKey("yocho doctor", 0, Part.GROUPS)) is None


def test_a_clock_behind_the_windows_fails(spec: DoctorSpec, store: SqlStore) -> None:
    check = found(spec, START - MINUTE)["clock"]
    assert (check.grade, check.found) == (Grade.FAIL, "the latest window ends 120 s after now")


def test_what_is_no_database_fails(spec: DoctorSpec, tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("hello, I am a text")
    checks = found(spec)
    assert checks["store"].grade is Grade.FAIL
    assert "clock" not in checks


def test_a_folder_that_is_not_there_fails(spec: DoctorSpec) -> None:
    checks = found(replace(spec, database="sqlite:////nowhere/at/all/a.db"))
    assert checks["store"].found == "/nowhere/at/all/a.db can't be made"
    assert checks["disk"] == Check(
        "disk", Grade.FAIL, "/nowhere/at/all: No such file or directory", "make the folder"
    )


@pytest.mark.parametrize(("share", "grade"), [(0.0, Grade.OK), (0.5, Grade.WARN), (2.0, Grade.FAIL)])
def test_a_disk_that_fills_is_said(spec: DoctorSpec, tmp_path: Path, share: float, grade: Grade) -> None:
    least = int(shutil.disk_usage(tmp_path).free * share)
    assert found(replace(spec, min_free_bytes=least))["disk"].grade is grade


def test_an_allow_list_is_read(spec: DoctorSpec, tmp_path: Path) -> None:
    file = tmp_path / "allowed"
    checks = {}
    for content in (b"192.0.2.7\n10.0.0.0/8 tcp/443\n", b"nonsense\n", b"\xff"):
        file.write_bytes(content)
        checks[content[:1]] = found(replace(spec, allow_list=str(file)))["allow-list"]
    assert checks[b"1"].found.endswith("allowed can be read: 2 rules")
    assert checks[b"n"].grade is checks[b"\xff"].grade is Grade.FAIL
    assert found(replace(spec, allow_list="/nowhere"))["allow-list"].found == "/nowhere: No such file or directory"


def test_a_port_in_use_is_a_warning_and_an_address_of_others_a_failure(spec: DoctorSpec) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert found(replace(spec, port=port))["port"].grade is Grade.WARN
    assert found(replace(spec, host="192.0.2.1"))["port"].grade is Grade.FAIL


def test_an_interface_is_listened_to(spec: DoctorSpec) -> None:
    missing = found(replace(spec, interface="nowhere0"))["interface"]
    assert missing.grade is Grade.FAIL
    assert "lo" in missing.advice
    checks = found(replace(spec, interface="lo"))
    # Without the right both fail; with it both are fine.
    assert checks["permissions"].grade is checks["interface"].grade


def test_traces_need_what_sends_them(spec: DoctorSpec) -> None:
    assert found(replace(spec, traces=True))["traces"].grade is Grade.OK


def test_the_folder_of_a_database_is_that_of_its_file() -> None:
    assert database_folder("sqlite:////data/yocho.db") == Path("/data")
    assert database_folder("postgresql://db/yocho") == database_folder("nonsense") == Path()


def test_where_no_temporary_file_can_be_made_uploads_can_not_be_read(
    spec: DoctorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    check = found(spec)["temporary files"]
    assert (check.grade, check.found) == (Grade.FAIL, "can't be written: No such file or directory")
    assert "TMPDIR" in check.advice


def test_a_full_disk_of_temporary_files_fails(spec: DoctorSpec) -> None:
    with small_files(1 << 16):
        check = found(spec)["temporary files"]
    assert check.grade is Grade.FAIL
    assert check.found.startswith("there is no room for 1 MiB in ")
