from __future__ import annotations

from pathlib import Path

import pytest

from service.client.token import read_token
from service.errors import SettingsError


def test_a_token_is_read_without_its_end_of_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("yo_abc\n")
    assert read_token(tmp_path / "token") == "yo_abc"


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff\xfe"])
def test_a_file_without_a_token_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(SettingsError, match="token: holds no token"):
        read_token(tmp_path / "token")


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="token: No such file"):
        read_token(tmp_path / "token")
