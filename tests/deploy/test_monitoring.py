import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from service.metrics import Metrics
from service.readiness import described_gauges
from tests.deploy.files import DEPLOY, ROOT, document, known_series, known_variables, series_in, variables_in

PROMETHEUS = DEPLOY / "prometheus"
RULES: list[dict[str, Any]] = [
    rule for group in document(PROMETHEUS / "alerts.yml")["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "yocho.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
PROVISIONING = DEPLOY / "grafana" / "provisioning"

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed; Debian's package prometheus has it"
)
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])


class Described(Collector):
    """What the store tells, without values."""

    def collect(self) -> Iterator[Metric]:
        return described_gauges()


def test_an_unknown_series_would_be_noticed() -> None:
    assert series_in('rate(yocho_invented_total{le="yocho_label"}[5m])') - known_series() == {
        "yocho_invented_total"
    }


@every_rule
def test_rules_ask_for_what_is_shown(rule: dict[str, Any]) -> None:
    assert series_in(rule["expr"]) <= known_series()
    assert series_in(rule["expr"]) or re.search(r'\bup\{job="yocho-\w+"\}', rule["expr"])


@every_rule
def test_rules_say_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    assert len(rule["annotations"]["description"]) > 30
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert f"`{rule['alert']}`" in (ROOT / "docs" / "operations.md").read_text()


def test_names_of_rules_are_unique() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))


def test_jobs_of_rules_are_scraped() -> None:
    config = document(PROMETHEUS / "prometheus.yml")
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    asked = {job for rule in RULES for job in re.findall(r'job="([^"]+)"', rule["expr"])}
    assert asked <= jobs
    assert config["rule_files"] == ["alerts.yml"]


def test_the_api_is_asked_with_a_token_from_a_file() -> None:
    config = document(PROMETHEUS / "prometheus.yml")
    api = next(job for job in config["scrape_configs"] if job["job_name"] == "yocho-api")
    assert api["authorization"] == {"credentials_file": "/run/secrets/token"}


def test_panels_ask_for_what_is_shown() -> None:
    asked = {name for panel in PANELS for target in panel.get("targets", []) for name in series_in(target["expr"])}
    assert asked <= known_series()


def test_everything_that_is_measured_has_a_panel() -> None:
    asked = {name for panel in PANELS for target in panel.get("targets", []) for name in series_in(target["expr"])}
    families = {re.sub("_(total|bucket|count|sum)$", "", name) for name in known_series()}
    assert families == {re.sub("_(total|bucket|count|sum)$", "", name) for name in asked}


def test_panels_have_ids_of_their_own_and_the_provisioned_source() -> None:
    ids = [panel["id"] for panel in PANELS]
    assert len(ids) == len(set(ids))
    (source,) = document(PROVISIONING / "datasources" / "prometheus.yml")["datasources"]
    assert {target["datasource"]["uid"] for panel in PANELS for target in panel.get("targets", [])} == {
        source["uid"]
    }


def test_panels_do_not_overlap() -> None:
    places: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, panel["title"]
        assert at["x"] + at["w"] <= 24
        places |= cells


def test_the_dashboard_is_where_its_provider_looks() -> None:
    (provider,) = document(PROVISIONING / "dashboards" / "yocho.yml")["providers"]
    volumes = document(DEPLOY / "docker-compose.yml")["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in volumes


def test_settings_that_descriptions_name_exist() -> None:
    assert variables_in((PROMETHEUS / "alerts.yml").read_text()) <= known_variables()


@needs_promtool
def test_promtool_finds_nothing_to_mend_in_the_metrics() -> None:
    registry = CollectorRegistry()
    Metrics(registry, "1.2.3")
    registry.register(Described())
    page = generate_latest(registry)
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


@needs_promtool
def test_promtool_takes_rules_and_configuration(tmp_path: Path) -> None:
    for arguments in (["rules", "alerts.yml"], ["config", "--syntax-only", "prometheus.yml"]):
        done = subprocess.run(
            ["promtool", "check", *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
