import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.settings import Settings
from tests.deploy.files import DEPLOY

NGINX = (DEPLOY / "proxy" / "nginx.conf").read_text()
CADDY = (DEPLOY / "proxy" / "Caddyfile").read_text()


def test_bodies_that_yocho_takes_pass() -> None:
    mebibytes = Settings.model_fields["max_capture_bytes"].default >> 20
    assert f"client_max_body_size  {mebibytes}m;" in NGINX
    assert f"max_size {mebibytes}MiB" in CADDY


def test_the_stream_is_not_held_back() -> None:
    stream = NGINX[NGINX.index("location = /v1/alerts/stream") :]
    assert re.search(r"proxy_buffering\s+off;", stream)
    assert "flush_interval -1" in CADDY


@pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="nginx is not installed")
def test_nginx_takes_it(tmp_path: Path) -> None:
    made = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=yocho.example"
    )
    files = "-keyout privkey.pem -out fullchain.pem"
    subprocess.run(f"{made} {files}".split(), cwd=tmp_path, check=True, capture_output=True)
    site = NGINX.replace("/etc/ssl/yocho", str(tmp_path))
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{site}\n}}\n")
    done = subprocess.run(
        ["nginx", "-t", "-p", str(tmp_path), "-c", str(whole), "-e", str(tmp_path / "log")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed")
def test_caddy_takes_it(tmp_path: Path) -> None:
    done = subprocess.run(
        ["caddy", "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "proxy" / "Caddyfile")],
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_what_the_proxies_say_of_tls_reaches_yocho_which_adds_the_header_itself() -> None:
    assert NGINX.count("proxy_set_header   X-Forwarded-Proto https;") == NGINX.count("proxy_pass")
    assert "Strict-Transport-Security" not in NGINX + CADDY  # else there would be two
