from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.alerts.alert import Kind
from service.errors import SettingsError
from service.export.severity import Severity
from service.outputs.configuration import read_outlets
from service.outputs.file import File
from service.outputs.syslog import Syslog
from service.outputs.wanted import SCANS, Wanted
from service.outputs.webhook import Webhook
from service.store.events import EventKind

if TYPE_CHECKING:
    from pathlib import Path

    from service.outputs.courier import Outlet


def read(folder: Path, text: str) -> tuple[Outlet, ...]:
    (folder / "secret").write_text("sixteen bytes and more\n")
    (folder / "short").write_text("short\n")
    (folder / "lines").write_text("one\ntwo\n")
    file = folder / "outputs.toml"
    file.write_text(text.replace("DIR", str(folder)))
    return read_outlets(file, "1.2.3")


HOOK = '[soc]\ntype = "webhook"\nurl = "https://soc.example/hook"\nsecret_file = "DIR/secret"\n'
LOG = '[siem]\ntype = "syslog"\nurl = "tcp://siem.example"\n'
LINES = '[eve]\ntype = "file"\npath = "DIR/eve.json"\n'


def test_each_table_is_an_output(tmp_path: Path) -> None:
    outlets = read(tmp_path, HOOK + LOG + LINES)
    assert [outlet.name for outlet in outlets] == ["soc", "siem", "eve"]
    assert [type(outlet.output) for outlet in outlets] == [Webhook, Syslog, File]
    assert outlets[0].wanted == Wanted(SCANS, frozenset(Kind), Severity.LOW, allowed=False, muted=False)
    assert outlets[0].patience.tries == 20


def test_filters_are_read(tmp_path: Path) -> None:
    text = (
        LOG + 'events = ["opened"]\nkinds = ["block"]\nseverity = "high"\nallowed = true\nmuted = true\ntries = 3\n'
    )
    (outlet,) = read(tmp_path, text)
    assert outlet.wanted == Wanted(
        frozenset({EventKind.OPENED}), frozenset({Kind.BLOCK}), Severity.HIGH, allowed=True, muted=True
    )
    assert outlet.patience.tries == 3


def test_an_empty_file_has_no_outputs(tmp_path: Path) -> None:
    assert read(tmp_path, "") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[soc", "is no TOML"),
        ("port = 1", "port: is no table of an output"),
        ('["a b"]\ntype = "file"', "a b: is no table of an output"),
        ('[x]\ntype = "mail"', "[x] type: input tag 'mail'"),
        ("[x]\npath = 1", "[x] type: unable to extract tag"),
        (HOOK + "colour = 1", "[soc] colour: extra inputs are not permitted"),
        (HOOK + "tries = 0", "[soc] tries: input should be greater than or equal to 1"),
        (HOOK + 'kinds = ["odd"]', "[soc] kinds"),
        (HOOK + 'format = "csv"', "[soc] format"),
        (HOOK.replace("https:", "ftp:"), "[soc] url: begins with ftp; write https://HOST/PATH"),
        (HOOK.replace("/secret", "/none"), "[soc] secret_file: "),
        (HOOK.replace("/secret", "/short"), "[soc] secret_file: "),
        (HOOK + 'authorization_file = "DIR/lines"', "[soc] authorization_file: "),
        (HOOK + 'ca_file = "DIR/secret"', "[soc] ca_file: "),
        (HOOK + 'ca_file = "DIR/none"', "[soc] ca_file: "),
        (LOG.replace("tcp:", "http:"), "[siem] url: http://siem.example is not of the form udp://, tcp://"),
        (LOG.replace(".example", ".example:x"), "[siem] url: "),
        (LOG.replace(".example", ".example/path"), "[siem] url: "),
        (LOG + 'facility = "local8"', "[siem] facility"),
        (LINES.replace("DIR/eve", "DIR/no/eve"), "[eve] path: "),
        ('[eve]\ntype = "file"\npath = "DIR"', "[eve] path: "),
        ("".join(f'[o{number}]\ntype = "x"\n' for number in range(33)), "has 33 outputs; 32 are the most"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read(tmp_path, text)
    assert said in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / "outputs.toml"))
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"outputs: .*none: No such file"):
        read_outlets(tmp_path / "none", "1.2.3")
