from __future__ import annotations

import json
from typing import TYPE_CHECKING

from service.store.sql import SqlStore
from tests.builders import an_alert

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Run

FILE = '[eve]\ntype = "file"\npath = "eve.json"\n[late]\ntype = "syslog"\nurl = "udp://127.0.0.1"\n'


def test_it_is_shown_how_far_outputs_are_and_dead_letters_are_put_back(yocho: Run, tmp_path: Path) -> None:
    (tmp_path / "outputs.toml").write_text(FILE)
    store = SqlStore(f"sqlite:///{tmp_path}/yocho.db")
    with store.begin() as unit:
        for name in ("eve", "gone"):
            unit.deliveries.enrol(name, 0)
        unit.save_alerts([an_alert(id="a1"), an_alert(id="a2")])
        unit.deliveries.bury("eve", unit.events.after(0, 1)[0], 7, "answered 400")
    done = yocho("outputs", "--format", "jsonl", outputs="outputs.toml")
    assert (done.returncode, done.stderr) == (0, "")
    eve, late, gone = map(json.loads, done.stdout.splitlines())
    assert (eve["name"], eve["configured"], eve["position"], eve["behind"], eve["dead_letters"]) == (
        "eve",
        True,
        0,
        2,
        1,
    )
    assert late == {"name": "late", "configured": True, "position": None}
    assert (gone["name"], gone["configured"], gone["dead_letters"]) == ("gone", False, 0)
    table = yocho("outputs", outputs="outputs.toml").stdout
    assert "not begun" in table
    assert "gone (not configured)" in table
    done = yocho("outputs", "retry", "eve", outputs="outputs.toml")
    assert (done.returncode, done.stderr) == (0, "yocho: 1 events are tried again\n")
    with store.read() as unit:
        assert len(unit.deliveries.returned("eve", 10)) == 1
    done = yocho("outputs", "retry", "nobody")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = yocho("outputs", "forget", "eve", outputs="outputs.toml")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert yocho("outputs", "forget", "gone", outputs="outputs.toml").returncode == 0
    with store.read() as unit:
        assert [each.delivery.output for each in unit.deliveries.standings()] == ["eve"]
    store.close()


def test_outputs_that_are_wrong_stop_the_service_with_one_line(yocho: Run, tmp_path: Path) -> None:
    (tmp_path / "outputs.toml").write_text(FILE.replace("udp:", "ftp:"))
    for command in (("serve", "--port", "0"), ("outputs",)):
        done = yocho(*command, outputs="outputs.toml")
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("yocho: outputs.toml: [late] url: ftp://127.0.0.1 is not of the form")
