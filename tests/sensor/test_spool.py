from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import SettingsError
from service.sensor.spool import Spool, SpoolSpec


@pytest.fixture
def opened() -> Iterator[Callable[..., Spool]]:
    """Open spools that are closed at the end."""
    with ExitStack() as stack:

        def open_spool(folder: Path, most_bytes: int = 1 << 20) -> Spool:
            return stack.enter_context(closing(Spool(SpoolSpec(folder, most_bytes))))

        yield open_spool


Opened = Callable[..., Spool]


def taken(spool: Spool) -> list[bytes]:
    found = []
    while (oldest := spool.oldest()) is not None:
        found.append(oldest[1])
        spool.done(oldest[0])
    return found


def test_windows_come_out_as_they_went_in(tmp_path: Path, opened: Opened) -> None:
    spool = opened(tmp_path / "a" / "spool")
    for number in range(12):
        spool.put(b"w%d" % number, number)
    assert len(spool) == 12
    assert taken(spool) == [b"w%d" % number for number in range(12)]
    assert spool.oldest() is None
    assert spool.position() == 11


def test_another_process_goes_on_where_one_ended(tmp_path: Path, opened: Opened) -> None:
    first = opened(tmp_path)
    first.put(b"one", 10)
    first.put(b"two", 20)
    (tmp_path / "0000000000000003.window.part").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("of the operator")
    first.close()
    second = opened(tmp_path)
    second.put(b"three", 30)
    assert taken(second) == [b"one", b"two", b"three"]
    assert second.position() == 30
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "notes.txt", "position"]


def test_the_oldest_are_shed_and_counted(tmp_path: Path, opened: Opened) -> None:
    spool = opened(tmp_path, most_bytes=10)
    for text in (b"aaaa", b"bbbb", b"cccc", b"dddddddddddd"):
        spool.put(text, 0)
    assert spool.shed == 3
    assert taken(spool) == [b"dddddddddddd"]  # larger than all room, and still the only news


def test_a_window_that_was_shed_while_it_was_sent_is_done(tmp_path: Path, opened: Opened) -> None:
    spool = opened(tmp_path, most_bytes=4)
    spool.put(b"aaaa", 0)
    oldest = spool.oldest()
    assert oldest is not None
    spool.put(b"bbbb", 0)
    spool.done(oldest[0])
    assert taken(spool) == [b"bbbb"]


def test_a_folder_has_one_user(tmp_path: Path, opened: Opened) -> None:
    spool = opened(tmp_path)
    with pytest.raises(SettingsError, match="another process sends from here"):
        opened(tmp_path)
    spool.close()
    opened(tmp_path)


def test_a_folder_that_is_none_is_named(tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="name a folder that may be written with --spool"):
        opened(tmp_path / "file")


@pytest.mark.parametrize("text", ["", "x", "-3", "9" * 30])
def test_a_position_that_is_none_is_the_beginning(tmp_path: Path, opened: Opened, text: str) -> None:
    (tmp_path / "position").write_text(text)
    assert opened(tmp_path).position() == 0


def test_room_is_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="most_bytes"):
        SpoolSpec(tmp_path, 0)


@given(st.lists(st.sampled_from(["put", "take", "restart"]), max_size=30))
def test_whatever_happens_windows_are_in_order_and_none_is_lost_unseen(steps: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(SpoolSpec(Path(folder), most_bytes=3))
        expected: list[bytes] = []
        shed = 0
        for number, step in enumerate(steps):
            if step == "put":
                spool.put(bytes([number]), number)
                expected.append(bytes([number]))
                shed += max(len(expected) - 3, 0)
                expected = expected[-3:]
            elif step == "take":
                oldest = spool.oldest()
                assert (oldest and oldest[1]) == (expected[0] if expected else None)
                if oldest:
                    spool.done(oldest[0])
                    expected.pop(0)
            else:
                assert spool.shed == shed
                spool.close()
                spool, shed = Spool(SpoolSpec(Path(folder), most_bytes=3)), 0
        assert (taken(spool), spool.shed) == (expected, shed)
        spool.close()


class KilledError(BaseException):
    """What ends a process between two calls of the system."""


@pytest.mark.parametrize("most", range(8))
def test_a_sensor_that_is_killed_while_it_puts_goes_on_at_its_position(
    tmp_path: Path, opened: Opened, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    windows, calls = {10: b"one", 20: b"two"}, 0
    first, sync = opened(tmp_path), os.fsync
    kept: list[bytes] = []

    def die(file: int) -> None:
        nonlocal calls
        calls += 1
        if calls > most:
            raise KilledError
        sync(file)

    def put() -> None:
        for position, window in windows.items():
            first.put(window, position)
            kept.append(window)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", die)
        with pytest.raises(KilledError):
            put()
    first.close()
    second = opened(tmp_path)
    assert [window for position, window in windows.items() if position <= second.position()][: len(kept)] == kept
    for position, window in windows.items():
        if position > second.position():
            second.put(window, position)
    # One may be there twice: the service takes it once.
    assert list(dict.fromkeys(taken(second))) == [b"one", b"two"]
    assert second.position() == 20
