from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import REPOSITORY, Run

COMMAND = [sys.executable, "-u", "-c", "from service.wiring import main; main()"]


def start(*arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )


def url_of(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"Serving on (https?://127\.0\.0\.1:\d+)", line):
            return found[1]
    raise AssertionError("the server did not say where it listens")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start("serve", "--port", "0", "--database", "kept.db", folder=tmp_path)
    yield process
    process.kill()
    process.communicate(timeout=30)


def test_a_capture_is_posted_found_and_kept_over_a_restart(
    server: subprocess.Popen[str], example: Path, tmp_path: Path
) -> None:
    url = url_of(server)
    headers = {"content-type": "application/vnd.tcpdump.pcap", "prefer": "wait=50"}
    posted = httpx.post(f"{url}/v1/windows?sensor=lab", content=example.read_bytes(), headers=headers, timeout=60)
    assert posted.status_code == 201
    assert posted.json()["packets"] == 29705
    first = httpx.get(f"{url}/v1/alerts").json()
    assert len(first["items"]) == 12
    server.send_signal(signal.SIGKILL)
    server.wait(timeout=30)

    again = start("serve", "--port", "0", "--database", "kept.db", folder=tmp_path)
    try:
        url = url_of(again)
        assert httpx.get(f"{url}/v1/alerts").json() == first
        repeated = httpx.post(
            f"{url}/v1/windows?sensor=lab", content=example.read_bytes(), headers=headers, timeout=60
        )
        assert (repeated.status_code, repeated.json()) == (200, posted.json())
    finally:
        again.send_signal(signal.SIGINT)
        _, errors = again.communicate(timeout=30)
    assert again.returncode == 0
    assert errors == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_cleanly(server: subprocess.Popen[str], number: signal.Signals) -> None:
    url_of(server)
    server.send_signal(number)
    _, errors = server.communicate(timeout=30)
    assert errors == ""
    assert server.returncode in (0, -signal.SIGTERM)


def test_a_port_in_use_is_one_line_and_code_2(server: subprocess.Popen[str], yocho: Run) -> None:
    port = url_of(server).rpartition(":")[2]
    done = yocho("serve", "--port", port, "--database", "other.db")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert f"can't listen on 127.0.0.1 port {port}: Address already in use; choose another" in done.stderr


def test_with_a_certificate_it_speaks_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no certificate can be made")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "chain.pem"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    given = ("--set", "tls_certificate=chain.pem", "--set", "tls_key=key.pem")
    server = start(*given, "serve", "--port", "0", "--no-worker", folder=tmp_path)
    try:
        trusted = ssl.create_default_context(cafile=str(tmp_path / "chain.pem"))
        url, known = url_of(server), os.environ | {"PYTHONPATH": str(REPOSITORY)}
        answer = httpx.get(f"{url}/healthz", verify=trusted)
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"]
        asked = [*COMMAND, "alerts", "--url", url]
        strange = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=False, env=known)
        assert (strange.returncode, "certificate" in strange.stderr) == (2, True)
        trusting = known | {"SSL_CERT_FILE": str(tmp_path / "chain.pem")}
        assert subprocess.run(asked, cwd=tmp_path, check=False, env=trusting).returncode == 0
    finally:
        server.kill()
        server.communicate(timeout=30)


def test_a_certificate_that_is_none_is_named(yocho: Run, tmp_path: Path) -> None:
    (tmp_path / "chain.pem").write_text("hello")
    done = yocho("--set", "tls_certificate=chain.pem", "serve", "--port", "0")
    assert done.returncode == 2
    assert "YOCHO_TLS_CERTIFICATE" in done.stderr


def test_a_key_without_a_certificate_stops_the_start(yocho: Run, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("hello")
    done = yocho("--set", "tls_key=key.pem", "serve", "--port", "0")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "yocho: YOCHO_TLS_KEY: is a key without a certificate; set YOCHO_TLS_CERTIFICATE, too\n"


def test_a_key_with_a_password_stops_the_start(yocho: Run, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no certificate can be made")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-passout", "pass:secret", "-keyout", "key.pem", "-out", "chain.pem"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    done = yocho("--set", "tls_certificate=chain.pem", "--set", "tls_key=key.pem", "serve", "--port", "0")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "YOCHO_TLS_CERTIFICATE" in done.stderr


def test_a_log_of_flows_is_posted(server: subprocess.Popen[str]) -> None:
    lines = [f"{1_700_000_000 + port},192.0.2.7,198.51.100.1,tcp/{port}" for port in range(1, 31)]
    log = "\n".join(["start,source,target,service", *lines, ""])
    headers = {"content-type": "text/csv", "prefer": "wait=50"}
    url = url_of(server)
    posted = httpx.post(f"{url}/v1/windows?sensor=logs", content=log, headers=headers, timeout=60)
    assert (posted.status_code, posted.json()["flows"]) == (201, 30)
    (alert,) = httpx.get(f"{url}/v1/alerts?sensor=logs").json()["items"]
    assert alert["sources"] == ["192.0.2.7"]
