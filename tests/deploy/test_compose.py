import re
from typing import Any

import pytest

from tests.deploy.files import DEPLOY, ROOT, document, known_variables, variables_in

FILE = DEPLOY / "docker-compose.yml"
COMPOSE: dict[str, Any] = document(FILE)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"secrets", "tokens"}

every_service = pytest.mark.parametrize("name", SERVICES)


def test_what_comes_up_without_a_profile() -> None:
    assert {name for name, service in SERVICES.items() if "profiles" not in service} == {
        "secrets", "postgres", "tokens", "api", "worker", "prometheus", "grafana"
    }  # fmt: skip
    assert SERVICES["sensor"]["profiles"] == ["sensor"]
    assert SERVICES["replay"]["profiles"] == ["replay"]


@every_service
def test_nobody_is_root(name: str) -> None:
    assert re.fullmatch(r"[1-9]\d*:\d+", SERVICES[name]["user"])


@every_service
def test_images_are_not_written_to(name: str) -> None:
    assert SERVICES[name]["read_only"] is True


@every_service
def test_capabilities(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    wanted = {"NET_RAW", "NET_ADMIN"} if name == "sensor" else set()
    assert set(SERVICES[name].get("cap_add", [])) == wanted
    assert "privileged" not in SERVICES[name]


@every_service
def test_new_privileges_are_denied_to_all_but_the_sensor_which_denies_them_itself(name: str) -> None:
    assert ("no-new-privileges:true" in SERVICES[name]["security_opt"]) == (name != "sensor")


@every_service
def test_limits(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["cpus"] <= 2
    assert 0 < service["pids_limit"] <= 256


@every_service
def test_images_are_pinned(name: str) -> None:
    image = re.fullmatch(r"\$\{[A-Z_]+:-(.+)\}", SERVICES[name]["image"])
    assert image
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?", image[1])


@every_service
def test_health(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    if name in ONCE:
        assert check == {"disable": True}
        assert SERVICES[name]["restart"] == "no"
    else:
        assert check["test"][0] == "CMD"
        assert SERVICES[name]["restart"] == "unless-stopped"


def test_the_api_is_healthy_when_it_is_ready() -> None:
    assert "/readyz" in SERVICES["api"]["healthcheck"]["test"][-1]


@every_service
def test_only_the_loopback_is_published(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@every_service
def test_secrets_come_from_files(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|TOKEN|DATABASE$|SECRET", variable):
            assert variable.endswith("_FILE"), variable
            assert value.startswith("/run/secrets/")


def test_each_reads_its_own_secrets_only() -> None:
    read = {
        name: {volume.split(":")[0] for volume in service.get("volumes", []) if ":/run/secrets:ro" in volume}
        for name, service in SERVICES.items()
    }
    assert read["prometheus"] == {"secrets-prometheus"}
    assert read["grafana"] == {"secrets-grafana"}
    assert read["sensor"] == {"secrets-sensor"}
    assert read["postgres"] == {"secrets-store"}
    assert read["api"] == read["worker"] == {"secrets-api"}


@every_service
def test_variables_are_known(name: str) -> None:
    named = {key for key in SERVICES[name].get("environment", {}) if key.startswith("YOCHO_")}
    assert named <= known_variables()


def test_no_other_variable_looks_like_ours() -> None:
    assert variables_in(FILE.read_text()) <= known_variables()


@every_service
def test_volumes_networks_and_dependencies_exist(name: str) -> None:
    service = SERVICES[name]
    for volume in service.get("volumes", []):
        source = re.sub(r"\$\{[A-Z_]+:-([^}]+)\}", r"\1", volume).split(":")[0]
        assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume
    assert set(service.get("networks", [])) <= set(COMPOSE["networks"])
    for other, condition in service.get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert condition == {"condition": wanted}
        assert other in SERVICES


def test_nothing_leads_from_the_database_to_the_outside() -> None:
    assert SERVICES["postgres"]["networks"] == ["store"]
    assert COMPOSE["networks"]["store"] == {"internal": True}


def test_the_image_is_built_from_the_root() -> None:
    assert (DEPLOY / SERVICES["api"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / "Dockerfile").exists()


def test_the_sensor_sends_to_the_api() -> None:
    sensor = SERVICES["sensor"]
    assert sensor["network_mode"] == "host"
    assert sensor["command"][0] == "python-sensor"
    assert "/run/secrets/token" in sensor["command"]
    assert "spool:/spool" in sensor["volumes"]
