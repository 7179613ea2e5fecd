from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import (
    PREFIX,
    Settings,
    effective_settings,
    load_settings,
    secret_names,
    sudo_caller,
)


def test_defaults_listen_on_the_loopback_only() -> None:
    assert load_settings({"PATH": "/bin"}).settings.host == "127.0.0.1"


def test_the_environment_is_read() -> None:
    settings = Settings.from_environment({"YOCHO_PORT": "9000", "YOCHO_DATABASE": "/data/x.db"})
    assert (settings.port, settings.database) == (9000, "/data/x.db")


def test_flags_come_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "yocho.toml"
    file.write_text('port = 1\nwindow = 2\nmax_rows = 3\nhost = "192.0.2.1"\nfalse_alarms = 0.5\n')
    loaded = load_settings(
        {"YOCHO_PORT": "11", "YOCHO_WINDOW": "12", "YOCHO_CONFIG": str(file)}, None, ["port=21", "log-window=24"]
    )
    settings = loaded.settings
    assert (settings.port, settings.window, settings.max_rows, settings.host) == (21, 12, 3, "192.0.2.1")
    assert (settings.false_alarms, settings.log_window) == (0.5, 24)
    assert loaded.origins == {
        "port": "--set port",
        "log_window": "--set log-window",
        "window": "YOCHO_WINDOW",
        "max_rows": f"{file}: max_rows",
        "host": f"{file}: host",
        "false_alarms": f"{file}: false_alarms",
    }


def test_a_file_that_is_named_by_a_flag_replaces_the_one_of_the_environment(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("port = 1")
    loaded = load_settings({"YOCHO_CONFIG": "/nowhere.toml"}, tmp_path / "a.toml")
    assert loaded.settings.port == 1


@pytest.mark.parametrize("variable", ["YOCHO_DATABASE_FILE", "file", "flag"])
def test_a_secret_may_stand_in_a_file_of_its_own(tmp_path: Path, variable: str) -> None:
    (tmp_path / "secret").write_text("postgresql://yocho:hunter2@db/yocho\n")
    (tmp_path / "yocho.toml").write_text(f"database_file = '{tmp_path / 'secret'}'")
    loaded = load_settings(
        {variable: str(tmp_path / "secret")} if variable.startswith("YOCHO") else {},
        tmp_path / "yocho.toml" if variable == "file" else None,
        [f"database_file={tmp_path / 'secret'}"] if variable == "flag" else [],
    )
    assert loaded.settings.database == "postgresql://yocho:hunter2@db/yocho"
    assert "hunter2" not in repr(loaded)
    (shown,) = [each for each in effective_settings(loaded) if each.name == "database"]
    assert shown.value == "***"


def test_every_secret_can_come_from_a_file_and_none_is_named_like_another() -> None:
    assert "database" in secret_names()
    for name in secret_names():
        assert f"{name}_file" not in Settings.model_fields


@pytest.mark.parametrize(
    ("environment", "config", "flags", "said"),
    [
        ({"YOCHO_PORTS": "1"}, "", [], "YOCHO_PORTS: no such setting; is port meant? `yocho settings` lists all"),
        ({"YOCHO_XYZZY": "1"}, "", [], "YOCHO_XYZZY: no such setting; `yocho settings` lists all"),
        (
            {},
            "",
            ["keep_bytes=5"],
            "--set keep_bytes: an empty database takes more; 0 means any size (size of the database above which "
            "the oldest goes earlier, 1 MiB or more; 0: any size)",
        ),
        (
            {"YOCHO_METRICS": "nowhere"},
            "",
            [],
            "YOCHO_METRICS: neither HOST:PORT nor file:PATH, such as 127.0.0.1:9100 (where a worker shows its "
            "metrics: HOST:PORT, or file:PATH; without it, nowhere)",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            "",
            [],
            "OTEL_EXPORTER_OTLP_ENDPOINT: no URL of http:// or https:// (collector of OpenTelemetry traces, such "
            "as http://127.0.0.1:4318; without it, no traces. Also OTEL_EXPORTER_OTLP_ENDPOINT)",
        ),
        (
            {"YOCHO_PORT": "99999"},
            "",
            [],
            "YOCHO_PORT: input should be less than or equal to 65535 (port to listen",
        ),
        ({"YOCHO_WINDOW": "minute"}, "", [], "YOCHO_WINDOW: input should be a valid integer"),
        ({"YOCHO_LOG_LEVEL": "loud"}, "", [], "YOCHO_LOG_LEVEL: input should be 'debug', 'info'"),
        ({"YOCHO_MAX_PAIRS_FILE": "x"}, "", [], "YOCHO_MAX_PAIRS_FILE: no such setting"),
        ({}, "prt = 1", [], "yocho.toml: prt: no such setting; is port meant?"),
        ({}, "port = true", [], "yocho.toml: port: input should be a valid integer"),
        ({}, "[server]\nport = 1", [], "yocho.toml: server: is no text, number, true or false"),
        ({}, "port = ", [], "yocho.toml: is no TOML: Invalid value (at"),
        ({}, "database_file = '/nowhere/x'", [], "yocho.toml: database_file: /nowhere/x: No such file"),
        ({}, "", ["port"], "--set port: not of the form NAME=VALUE"),
        ({}, "", ["prot=1"], "--set prot: no such setting; is port meant?"),
        ({}, "", ["port=-1"], "--set port: input should be greater than or equal to 0"),
        (
            {"YOCHO_DATABASE": "a", "YOCHO_DATABASE_FILE": "b"},
            "",
            [],
            "YOCHO_DATABASE and YOCHO_DATABASE_FILE are both given; keep one",
        ),
        ({"YOCHO_CONFIG": "/nowhere.toml"}, None, [], "settings: /nowhere.toml: No such file or directory"),
    ],
)
def test_what_is_unknown_or_wrong_is_said_in_a_line_that_names_where(
    tmp_path: Path, environment: dict[str, str], config: str | None, flags: list[str], said: str
) -> None:
    file = tmp_path / "yocho.toml"
    if config is not None:
        file.write_text(config)
    with pytest.raises(SettingsError) as raised:
        load_settings(environment, file if config is not None else None, flags)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "yocho.toml"
    for content, said in (
        (b"\xff", "is no text in UTF-8"),
        (b" " * ((1 << 20) + 1), "has more than 1048576 bytes"),
    ):
        file.write_bytes(content)
        with pytest.raises(SettingsError, match=said):
            load_settings({}, file)


def test_the_standard_variable_of_traces_is_read_after_ours() -> None:
    theirs = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a:4318"}
    assert load_settings(theirs).settings.otlp_endpoint == "http://a:4318"
    ours = theirs | {"YOCHO_OTLP_ENDPOINT": "http://b:4318"}
    assert load_settings(ours).settings.otlp_endpoint == "http://b:4318"


def test_another_process_gets_the_same_settings_by_its_environment() -> None:
    settings = load_settings(
        {}, None, ["port=1", "false_alarms=0.25", "host=::1", "otlp_endpoint=http://x"]
    ).settings
    environment = settings.as_environment()
    assert set(environment) == {PREFIX + name for name in ("PORT", "FALSE_ALARMS", "HOST", "OTLP_ENDPOINT")}
    assert Settings.from_environment(environment) == settings


def test_who_called_sudo_is_known() -> None:
    assert sudo_caller({"SUDO_UID": "7", "SUDO_GID": "8"}) == (7, 8)
    assert sudo_caller({"SUDO_UID": "7"}) is None
