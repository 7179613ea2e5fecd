from __future__ import annotations

import json
import resource
from typing import TYPE_CHECKING

import pytest

from service.errors import DeliveryError
from service.outputs.file import File, FileSpec
from service.outputs.forms import Form
from tests.outputs.receivers import VERSION, a_notice

if TYPE_CHECKING:
    from pathlib import Path


def ids(path: Path) -> list[int]:
    return [json.loads(line)["yocho"]["sequence"] for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "eve.json"


def write(path: Path, *numbers: int) -> None:
    file = File(FileSpec(path), VERSION)
    for number in numbers:
        file.deliver(a_notice(number))
    file.close()


def test_lines_are_appended_and_the_file_is_not_for_everybody(path: Path) -> None:
    write(path, 1, 2)
    write(path, 3)
    assert ids(path) == [1, 2, 3]
    assert path.stat().st_mode & 0o007 == 0


def test_a_file_that_was_moved_away_or_removed_is_made_anew(path: Path) -> None:
    file = File(FileSpec(path), VERSION)
    file.deliver(a_notice(1))
    path.rename(path.with_suffix(".1"))
    file.deliver(a_notice(2))
    assert (ids(path.with_suffix(".1")), ids(path)) == ([1], [2])
    path.unlink()
    file.deliver(a_notice(3))
    with path.open("r+") as copied:
        copied.truncate(0)
    file.deliver(a_notice(4))
    assert ids(path) == [4]
    file.close()


@pytest.mark.parametrize("kept", [1, 2, 100, -1])
def test_a_half_line_is_removed_at_the_start(path: Path, kept: int) -> None:
    write(path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept])
    write(path, 2)
    assert ids(path) == [1, 2]


def test_a_half_line_that_another_process_leaves_is_removed(path: Path) -> None:
    mine = File(FileSpec(path), VERSION)
    mine.deliver(a_notice(1))
    # The other one has the output for a while, and is killed in the middle of a line.
    write(path, 2, 3)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 100)
    mine.deliver(a_notice(3))
    mine.close()
    assert ids(path) == [1, 2, 3]


def test_a_half_line_alone_is_removed(path: Path) -> None:
    path.write_bytes(b'{"timest')
    write(path, 1)
    assert ids(path) == [1]


def test_what_is_too_long_to_be_a_line_of_ours_is_kept(path: Path) -> None:
    strange = b"x" * ((1 << 22) + 70_000)
    path.write_bytes(strange)
    write(path, 1)
    lines = path.read_bytes().splitlines()
    assert (lines[0], len(lines)) == (strange, 2)


def test_a_full_disk_leaves_no_half_line(path: Path) -> None:
    file = File(FileSpec(path), VERSION)
    file.deliver(a_notice(1))
    size = path.stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
    try:
        with pytest.raises(DeliveryError, match="File too large") as raised:
            file.deliver(a_notice(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.away
    assert path.stat().st_size == size
    file.deliver(a_notice(2))
    assert ids(path) == [1, 2]
    file.close()


@pytest.mark.parametrize("form", list(Form))
def test_each_form_is_one_line(path: Path, form: Form) -> None:
    file = File(FileSpec(path, form), VERSION)
    file.deliver(a_notice(1, reason="two\nlines\r\u2028more"))
    file.close()
    content = path.read_bytes()
    assert content.count(b"\n") == 1
    assert content.endswith(b"\n")
