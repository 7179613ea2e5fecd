import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.settings import load_settings
from tests.deploy.files import DEPLOY, known_variables, variables_in

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SENSOR = "yocho-sensor@.service"

every_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def directives(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_units() -> None:
    assert [unit.name for unit in UNITS] == ["yocho-sensor@.service", "yocho-worker.service", "yocho.service"]


@every_unit
def test_nobody_is_root_and_bounds_are_set(unit: Path) -> None:
    found = directives(unit)
    assert found["User"] == ["yocho"]
    assert found["NoNewPrivileges"] == found["LockPersonality"] == found["RestrictNamespaces"] == ["yes"]
    assert found["ProtectSystem"] == ["strict"]
    assert "MemoryMax" in found
    assert "TasksMax" in found


@every_unit
def test_capabilities(unit: Path) -> None:
    found = directives(unit)
    wanted = ["CAP_NET_RAW CAP_NET_ADMIN"] if unit.name == SENSOR else [""]
    assert found["CapabilityBoundingSet"] == wanted
    assert found.get("AmbientCapabilities", [""]) == wanted


@every_unit
def test_variables_are_known(unit: Path) -> None:
    assert variables_in(unit.read_text()) <= known_variables()


def test_the_file_of_settings_is_read() -> None:
    loaded = load_settings({}, DEPLOY / "systemd" / "yocho.toml")
    assert loaded.settings.host == "127.0.0.1"


def test_the_lines_that_are_put_out_name_settings_too() -> None:
    text = (DEPLOY / "systemd" / "yocho.toml").read_text()
    named = re.findall(r"^# (\w+) = ", text, re.MULTILINE)
    assert {"YOCHO_" + name.upper() for name in named} <= known_variables()
    assert named


def installed(unit: Path, folder: Path) -> Path:
    """Return a copy whose program exists here; a template is given an instance."""
    copy = folder / unit.name.replace("@", "@lo")
    copy.write_text(unit.read_text().replace("/opt/yocho/bin/yocho", "/bin/true"))
    return copy


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@every_unit
def test_systemd_takes_them(unit: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(installed(unit, tmp_path))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
@every_unit
def test_systemd_finds_little_exposed(unit: Path, tmp_path: Path) -> None:
    most = 25 if unit.name == SENSOR else 20
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={most}", "--no-pager",
         str(installed(unit, tmp_path))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-200:] + done.stderr
