from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.testing import CliRunner

from service.commands.keeping import add_keeping
from service.store.repository import AlertQuery
from service.store.retention import Retained
from service.store.sql import SqlStore
from tests.builders import an_alert

if TYPE_CHECKING:
    from tests.conftest import Run


class FakeKeeping:
    def __init__(self, gone: Retained) -> None:
        self.gone = gone
        self.asked: list[tuple[str, Path, str | None]] = []

    def back_up(self, file: Path, database: str | None) -> None:
        self.asked.append(("back up", file, database))
        file.write_bytes(b"12345")

    def restore(self, file: Path, database: str | None) -> None:
        self.asked.append(("restore", file, database))

    def retain(self, database: str | None) -> Retained:
        return self.gone


def said(keeping: FakeKeeping, *arguments: str) -> list[str]:
    app = typer.Typer()
    add_keeping(app, keeping)
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.output.splitlines()


def test_backups_are_made_and_restored(tmp_path: Path) -> None:
    keeping, file = FakeKeeping(Retained()), tmp_path / "backup"
    assert said(keeping, "backup", str(file)) == [f"{file}: 5 bytes, checked"]
    assert said(keeping, "restore", str(file), "--database", "new.db") == [f"{file}: restored"]
    assert keeping.asked == [("back up", file, None), ("restore", file, "new.db")]


def test_it_is_said_what_went() -> None:
    assert said(FakeKeeping(Retained()), "retain") == ["nothing is old enough to go"]
    gone = Retained(counts=3, jobs=1, over=7)
    assert said(FakeKeeping(gone), "retain") == [
        "let go of 3 counts of windows, 1 receipts",
        "still 7 bytes above YOCHO_KEEP_BYTES; nothing is left that may go",
    ]


def test_the_same_with_a_real_database(yocho: Run, tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/yocho.db")
    with store.begin() as unit:
        unit.save_alerts([an_alert()])
    store.close()
    assert yocho("database", "backup", "copy").returncode == 0
    assert yocho("database", "retain", keep_alerts_days="1").stdout == "let go of 1 alerts\n"
    again = yocho("database", "restore", "copy")
    assert again.returncode != 0
    assert "has tables already; restore into a new one" in again.stderr
    assert yocho("database", "restore", "copy", "--database", "other.db").returncode == 0
    store = SqlStore(f"sqlite:///{tmp_path}/other.db")
    with store.read() as reader:
        assert reader.alerts(AlertQuery()).items == (an_alert(),)
    store.close()
