import os
import stat
import subprocess
from pathlib import Path

import pytest

from service.access.token import hash_of
from tests.deploy.files import DEPLOY, ROOT

SCRIPTS = sorted(DEPLOY.rglob("*.sh"))
NAMES = ["admin_token", "database", "grafana_password", "postgres_password"]


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = environment.pop("PATH", os.environ["PATH"])
    return subprocess.run(
        ["sh", str(DEPLOY / "init" / script), *arguments],
        env={"PATH": path, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_can_be_parsed_and_run(script: Path) -> None:
    shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"
    assert subprocess.run([shell, "-n", str(script)], check=False).returncode == 0
    assert script.stat().st_mode & stat.S_IXUSR


def test_secrets_are_made_once(tmp_path: Path) -> None:
    first = run("secrets.sh", str(tmp_path))
    made = contents(tmp_path)
    again = run("secrets.sh", str(tmp_path))
    assert first.returncode == again.returncode == 0
    assert sorted(made) == NAMES
    assert contents(tmp_path) == made
    assert again.stdout == ""


def test_secrets_are_random_and_long(tmp_path: Path) -> None:
    run("secrets.sh", str(tmp_path / "a"))
    run("secrets.sh", str(tmp_path / "b"))
    one, other = contents(tmp_path / "a"), contents(tmp_path / "b")
    for name in NAMES:
        assert one[name] != other[name]
        assert len(one[name]) >= 43


def test_the_admin_token_is_one_and_the_url_holds_the_password(tmp_path: Path) -> None:
    run("secrets.sh", str(tmp_path))
    made = contents(tmp_path)
    assert hash_of(made["admin_token"])
    assert made["database"] == f"postgresql://yocho:{made['postgres_password']}@postgres/yocho"


def test_output_tells_no_secret(tmp_path: Path) -> None:
    done = run("secrets.sh", str(tmp_path))
    assert not any(secret in done.stdout + done.stderr for secret in contents(tmp_path).values())


def test_given_secrets_are_taken(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "postgres_password").write_text("mine\n")
    run("secrets.sh", str(tmp_path / "to"), str(given), LAYOUT="compose")
    made = contents(tmp_path / "to")
    assert made["store/password"] == "mine"
    assert made["api/database"] == "postgresql://yocho:mine@postgres/yocho"
    assert sorted(made) == ["api/admin_token", "api/database", "grafana/password", "store/password"]


def test_examples_name_the_secrets_that_can_be_given() -> None:
    named = {file.name.removesuffix(".example") for file in (DEPLOY / "secrets").glob("*.example")}
    page = (DEPLOY / "secrets" / "README.md").read_text()
    assert named == set(NAMES) - {"database"}
    assert all(f"| `{name}` |" in page for name in named)


def test_git_would_ignore_secrets() -> None:
    done = subprocess.run(
        ["git", "check-ignore", "deploy/secrets/admin_token"], cwd=ROOT, capture_output=True, check=False
    )
    if done.returncode == 128:
        pytest.skip("this is no working tree of git")
    assert done.returncode == 0


def fake_yocho(folder: Path, body: str) -> str:
    folder.mkdir()
    program = folder / "yocho"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_tokens_are_made_once(tmp_path: Path) -> None:
    path = fake_yocho(tmp_path / "bin", 'echo "$@"')
    for name in ("prometheus", "sensor"):
        (tmp_path / name).mkdir()
    assert run("tokens.sh", str(tmp_path), PATH=path).returncode == 0
    made = contents(tmp_path)
    assert made["prometheus/token"].startswith("token create prometheus-")
    assert made["prometheus/token"].endswith("--scope read\n")
    assert made["sensor/token"].endswith("--scope ingest\n")
    assert run("tokens.sh", str(tmp_path), PATH=path).stdout == ""
    assert contents(tmp_path) == made


def test_a_token_that_could_not_be_made_leaves_no_file(tmp_path: Path) -> None:
    path = fake_yocho(tmp_path / "bin", "echo half; exit 2")
    (tmp_path / "prometheus").mkdir()
    assert run("tokens.sh", str(tmp_path), PATH=path).returncode == 2
    assert not (tmp_path / "prometheus" / "token").exists()
