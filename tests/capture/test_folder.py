from __future__ import annotations

import os
from typing import TYPE_CHECKING

from service.capture.folder import files_below

if TYPE_CHECKING:
    from pathlib import Path


def test_files_come_in_the_order_of_their_names_at_any_depth(tmp_path: Path) -> None:
    for name in ("b.pcap", "a.pcap", "deep/er/c.pcap", "deep/d.pcap", ".hidden.pcap", ".git/e.pcap"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.pcap").symlink_to(tmp_path / "b.pcap")
    found = [str(path.relative_to(tmp_path)) for path in files_below(tmp_path)]
    assert found == ["a.pcap", "b.pcap", "link.pcap", "deep/d.pcap", "deep/er/c.pcap"]


def test_an_empty_folder(tmp_path: Path) -> None:
    assert files_below(tmp_path) == []
