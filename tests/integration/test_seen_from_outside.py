from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.api.examples import WINDOW
from service.reference import metrics_table
from tests.conftest import REPOSITORY
from tests.integration.test_serve import COMMAND, url_of


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    settings = {
        "YOCHO_DATABASE": "kept.db",
        "YOCHO_PORT": "0",
        "YOCHO_LOG_LEVEL": "debug",
        "YOCHO_MIN_FREE_BYTES": "0",
    }
    process = subprocess.Popen(
        [*COMMAND, "serve"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | settings,
    )
    yield process
    process.kill()
    process.communicate(timeout=30)


def worked(client: httpx.Client) -> str:
    """Return the page of metrics, once it has those of the worker too: it writes them now and then."""
    for _ in range(300):
        page = client.get("/metrics").text
        if 'yocho_windows_processed_total{length="60"} 1.0' in page:
            return page
        threading.Event().wait(0.1)
    raise AssertionError(page)


def test_a_running_service_counts_says_that_it_is_ready_and_logs_what_it_works_on(
    server: subprocess.Popen[str],
) -> None:
    with httpx.Client(base_url=url_of(server)) as client:
        headers = {"prefer": "wait=60"}
        assert client.post("/v1/windows", json=WINDOW, headers=headers, timeout=90).status_code == 201
        assert client.post("/v1/windows", json=WINDOW | {"sensor": ""}).status_code == 422
        refused = client.get("/v1/alerts/yo_" + "a" * 43, headers={"authorization": "Bearer yo_" + "a" * 43})
        assert refused.status_code < 500
        assert client.get("/readyz").json()["status"] == "ready"
        page = worked(client)
    families = {family.name: family for family in text_string_to_metric_families(page)}
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    route = ("route", "/v1/windows")
    assert samples["yocho_http_requests_total", ("method", "POST"), route, ("status", "201")] == 1
    assert samples["yocho_refusals_total", ("reason", "invalid")] == 1
    assert samples["yocho_windows_processed_total", ("length", "60")] == 1
    assert samples["yocho_attempts_total", ("length", "60")] == sum(row["attempts"] for row in WINDOW["rows"])
    assert samples["yocho_lag_seconds_count", ("length", "60")] == 1
    assert samples["yocho_transaction_seconds_count", ("kind", "write")] >= 1
    assert samples["yocho_stage_seconds_count", ("stage", "patterns")] == 1
    assert samples["yocho_store_up",] == 1
    assert samples["yocho_queue_jobs",] == 0
    table = metrics_table()
    assert [name for name in families if f"| `{name}" not in table] == []
    described = re.findall(r"^\| `(yocho_\w+)`", table, re.MULTILINE)
    assert described
    assert [name for name in described if f"\n# TYPE {name} " not in page] == []

    server.send_signal(signal.SIGINT)
    _, errors = server.communicate(timeout=30)
    assert "yo_aaa" not in errors
    assert [line for line in errors.splitlines() if "message" not in json.loads(line)] == []
