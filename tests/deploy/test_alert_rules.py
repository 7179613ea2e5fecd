"""Each rule of Prometheus, tried on invented series: what raises it, and that nothing else raises any."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, document, known_series, series_in

FILE = DEPLOY / "prometheus" / "alerts.yml"
RULES = [rule["alert"] for group in document(FILE)["groups"] for rule in group["rules"]]

needs_promtool = pytest.mark.skipif(
    not shutil.which("promtool"), reason="promtool is not installed; Debian's package prometheus has it"
)

# What a service shows that is well, a sample a minute for six hours ("A+BxN": from A on, B more each of N times).
WELL = {
    'up{job="yocho-api"}': "1x380",
    'up{job="yocho-worker"}': "1x380",
    "yocho_store_up": "1x380",
    "yocho_queue_jobs": "3x380",
    "yocho_queue_oldest_seconds": "2x380",
    'yocho_refusals_total{reason="too_slow"}': "0+5x380",
    'yocho_refusals_total{reason="no_token"}': "0+1x380",
    'yocho_http_requests_total{status="200"}': "0+60x380",
    'yocho_job_seconds_count{kind="window",outcome="done"}': "0+6x380",
    'yocho_lag_seconds_bucket{length="60",le="5"}': "0+6x380",
    'yocho_lag_seconds_bucket{length="60",le="+Inf"}': "0+6x380",
    'yocho_shed_attempts_total{length="60"}': "0x380",
    "yocho_dropped_packets_total": "0x380",
    'yocho_deliveries_total{output="soc",result="delivered"}': "0+1x380",
    'yocho_deliveries_oldest_seconds{output="soc"}': "0x380",
    'yocho_dead_letters{output="soc"}': "4x380",
    'yocho_windows_processed_total{length="60"}': "0+6x380",
}
# What differs when something is wrong from the 200th minute on.
CASES = {
    "YochoApiDown": {'up{job="yocho-api"}': "1x200 0x180"},
    "YochoWorkerDown": {'up{job="yocho-worker"}': "1x200 _x180"},
    "YochoStoreDown": {"yocho_store_up": "1x200 0x180"},
    "YochoQueueStuck": {"yocho_queue_oldest_seconds": "2x200 60+60x180"},
    "YochoQueueGrows": {"yocho_queue_jobs": "3x200 1000+400x180"},
    "YochoRefuses": {'yocho_refusals_total{reason="busy"}': "0x200 0+3x180"},
    "YochoTokensRefused": {'yocho_refusals_total{reason="no_token"}': "0+1x200 200+60x180"},
    "YochoFails": {'yocho_http_requests_total{status="500"}': "0x200 0+1x180"},
    "YochoJobsFail": {'yocho_job_seconds_count{kind="upload",outcome="failed"}': "0x200 0+1x180"},
    "YochoLate": {
        'yocho_lag_seconds_bucket{length="60",le="5"}': "0+6x200 1200x180",
        'yocho_lag_seconds_bucket{length="60",le="600"}': "0+6x380",
    },
    "YochoSheds": {'yocho_shed_attempts_total{length="60"}': "0x200 0+50x180"},
    "YochoDropsPackets": {"yocho_dropped_packets_total": "0x200 0+50x180"},
    "YochoDeliveriesFail": {'yocho_deliveries_total{output="soc",result="failed"}': "0x200 0+1x180"},
    "YochoDeliveriesLate": {'yocho_deliveries_oldest_seconds{output="soc"}': "0x200 0+60x180"},
    "YochoDeadLetters": {'yocho_dead_letters{output="soc"}': "4x240 7x140"},
    "YochoSilent": {'yocho_windows_processed_total{length="60"}': "0+6x200 1200x180"},
}
# What is not worth waking anybody: as above, but less or shorter.
QUIET = {
    "the API restarted": {'up{job="yocho-api"}': "1x258 0x1 1x120"},
    "work waited for a while": {"yocho_queue_oldest_seconds": "2x254 360x3 2x120"},
    "many short jobs at once": {"yocho_queue_jobs": "3x255 900x125"},
    "a token of old": {'yocho_refusals_total{reason="forbidden"}': "0+10x380"},
    "a dead letter was put back": {'yocho_dead_letters{output="soc"}': "4x240 1x140"},
    "windows of a day are late by nature": {
        'yocho_lag_seconds_bucket{length="86400",le="5"}': "0x380",
        'yocho_lag_seconds_bucket{length="86400",le="+Inf"}': "0+1x380",
    },
    "an installation that was never sent anything": {'yocho_windows_processed_total{length="60"}': "0x380"},
}
MINUTE = "260m"


def tried(cases: dict[str, tuple[dict[str, str], set[str]]], folder: Path) -> str:
    """Let promtool compare which rules fire in each case at the chosen minute; return what it complains of."""
    tests = []
    for name, (differs, fires) in cases.items():
        question = {
            # Its name stands in the question, because promtool shows that when the answer is another one.
            "expr": f'count by (alertname) (ALERTS{{alertstate="firing",alertname!="{name}?"}})',
            "eval_time": MINUTE,
            "exp_samples": [{"labels": f'{{alertname="{rule}"}}', "value": 1} for rule in sorted(fires)],
        }
        series = [{"series": series, "values": values} for series, values in (WELL | differs).items()]
        tests.append({"interval": "1m", "input_series": series, "promql_expr_test": [question]})
    file = folder / "test.json"
    file.write_text(json.dumps({"rule_files": [str(FILE)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=120
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_every_rule_is_tried() -> None:
    assert sorted(CASES) == sorted(RULES)


def test_series_of_the_cases_are_shown() -> None:
    named = {name for case in [WELL, *CASES.values(), *QUIET.values()] for name in case}
    assert all(series_in(name) <= known_series() for name in named)


@needs_promtool
def test_what_is_wrong_raises_its_rule_and_no_other(tmp_path: Path) -> None:
    assert tried({rule: (differs, {rule}) for rule, differs in CASES.items()}, tmp_path) == ""


@needs_promtool
def test_what_needs_nobody_raises_nothing(tmp_path: Path) -> None:
    assert (
        tried({"all is well": ({}, set())} | {name: (case, set()) for name, case in QUIET.items()}, tmp_path) == ""
    )


@needs_promtool
def test_a_rule_that_fires_unasked_would_be_noticed(tmp_path: Path) -> None:
    complaint = tried({"the store": (CASES["YochoStoreDown"], set())}, tmp_path)
    assert "the store?" in complaint
    assert '{alertname="YochoStoreDown"} 1' in complaint
