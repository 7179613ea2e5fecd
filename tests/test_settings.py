from __future__ import annotations

import pytest

from service.errors import SettingsError
from service.settings import Settings
from tests.conftest import REPOSITORY


def test_defaults_listen_on_the_loopback_only() -> None:
    assert Settings.from_environment({"PATH": "/bin"}).host == "127.0.0.1"


def test_the_environment_is_read() -> None:
    settings = Settings.from_environment({"YOCHO_PORT": "9000", "YOCHO_DATABASE": "/data/x.db"})
    assert (settings.port, settings.database) == (9000, "/data/x.db")


@pytest.mark.parametrize(
    ("name", "value"), [("YOCHO_PORTS", "1"), ("YOCHO_PORT", "99999"), ("YOCHO_WINDOW", "minute")]
)
def test_unknown_or_wrong_settings_are_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name}: .*known settings: YOCHO_DATABASE"):
        Settings.from_environment({name: value})


def test_every_setting_is_documented() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    for name in Settings.model_fields:
        assert f"YOCHO_{name.upper()}" in readme
