from __future__ import annotations

from pathlib import Path

from tests.conftest import Run


def test_values_are_shown_with_where_they_were_set_and_no_secret(yocho: Run, tmp_path: Path) -> None:
    (tmp_path / "yocho.toml").write_text("window = 30\n")
    done = yocho(
        "--config",
        "yocho.toml",
        "--set",
        "port=9",
        "settings",
        database="postgresql://u:hunter2@db/y",
        max_rows="7",
    )
    assert (done.returncode, done.stderr) == (0, "")
    shown = {
        cells[1].strip(): (cells[2].strip(), cells[3].strip())
        for cells in (line.split("│") for line in done.stdout.splitlines())
        if len(cells) > 4 and cells[1].strip()
    }
    assert shown["port"] == ("9", "--set port")
    assert shown["window"][0] == "30"
    assert shown["max_rows"] == ("7", "YOCHO_MAX_ROWS")
    assert shown["host"] == ("127.0.0.1", "default")
    assert shown["database"] == ("***", "YOCHO_DATABASE")
    assert "hunter2" not in done.stdout


def test_settings_that_are_wrong_stop_every_command_with_one_line(yocho: Run, tmp_path: Path) -> None:
    for arguments, settings, said in (
        (
            ("settings",),
            {"prot": "1"},
            "yocho: YOCHO_PROT: no such setting; is port meant? `yocho settings` lists all",
        ),
        (("--set", "prot=1", "serve"), {}, "yocho: --set prot: no such setting; is port meant?"),
        (("--config", "no.toml", "doctor"), {}, "yocho: settings: no.toml: No such file or directory"),
    ):
        done = yocho(*arguments, **settings)
        assert (done.returncode, done.stdout) == (2, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith(said)


def test_a_password_does_not_show_in_an_error(yocho: Run) -> None:
    done = yocho("serve", database="mysql://yocho:hunter2@db/yocho")
    assert done.returncode == 2
    assert "hunter2" not in done.stdout + done.stderr
