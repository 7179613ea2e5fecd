"""What the commands need of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from service.capture.tunnels import Tunnels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from service.access.token import Scope, Token
    from service.alerts.alert import Alert
    from service.calibrate import Calibration
    from service.capture.inputs import Input
    from service.client.client import Client
    from service.client.patience import Patience
    from service.commands.database import Schema
    from service.doctor import Check
    from service.outputs.shown import Shown
    from service.scan import Report, Summary
    from service.selfcheck.check import Finding
    from service.sensor.run import SensorSpec, Sent
    from service.settings import Effective
    from service.store.retention import Retained


class Parts(Protocol):
    """What the commands need; `service.wiring` provides it."""

    example: Path

    def configure(self, config: Path | None, assignments: Sequence[str]) -> None:
        """Take the settings: `assignments`, written NAME=VALUE, and the file `config` beside the environment."""
        ...

    def settings(self) -> Sequence[Effective]:
        """Return all settings as they are now."""
        ...

    def doctor(self, interface: str | None) -> Iterator[Check]:
        """Look at what the service needs here, one thing after the other."""
        ...

    def scan(
        self,
        paths: Sequence[Path],
        kind: Input | None,
        window: int | None,
        database: str | None,
        progress: Callable[[int], None],
        tunnels: Tunnels = Tunnels.INNER,
    ) -> Report:
        """Scan captures and logs with windows of so many seconds, and keep what is found in a database, if any."""
        ...

    def watch(
        self,
        interface: str,
        bpf: str,
        user: str | None,
        window: int | None,
        database: str | None,
        ready: Callable[[], None],
        tell: Callable[[Alert], None],
        tell_drops: Callable[[int], None],
    ) -> Summary:
        """Follow a live interface until interrupted; `ready` hears when packets are taken."""
        ...

    def forward(
        self,
        interface: str,
        bpf: str,
        user: str | None,
        window: int | None,
        sensor: SensorSpec,
        ready: Callable[[], None],
        tell_drops: Callable[[int], None],
    ) -> Sent:
        """Follow a live interface until interrupted, and send its windows to a service."""
        ...

    def serve(
        self,
        database: str | None,
        host: str | None,
        port: int | None,
        ready: Callable[[str], None],
        *,
        worker: bool = True,
    ) -> None:
        """Serve until interrupted, with a worker beside it if wanted; `ready` hears the URL."""
        ...

    def work(self, database: str | None, *, once: bool, with_parent: bool) -> None:
        """Do what was accepted: until nothing waits, or standard input ends, or interrupted."""
        ...

    def replay(self, folder: Path, database: str | None, *, once: bool) -> None:
        """Replay the captures that are in a folder and those that come to it."""
        ...

    def calibrate(self, paths: Sequence[Path], progress: Callable[[int], None]) -> Calibration:
        """Replay recorded traffic, and count what budgets of false alarms would let through."""
        ...

    def selfcheck(
        self, url: str | None, token_file: Path | None, progress: Callable[[int], None]
    ) -> Iterator[Finding]:
        """Send examples of all kinds of scans to the service at a URL, and yield what it says of each."""
        ...

    def collect(
        self, listen: str, sensors: Sequence[str], database: str | None, lateness: int, *, named_only: bool
    ) -> None:
        """Collect flows from exporters until interrupted; `sensors` are written ADDRESS=NAME."""
        ...

    def client(self, url: str | None, token_file: Path | None, patience: Patience | None = None) -> Client:
        """Return a client of the service at a URL, or of the one that is configured here."""
        ...

    def outputs(self, database: str | None) -> Sequence[Shown]:
        """Return where the outputs stand."""
        ...

    def retry_output(self, name: str, database: str | None) -> int:
        """Let an output try again what it gave up; return how many events these are."""
        ...

    def forget_output(self, name: str, database: str | None) -> None:
        """Forget an output, and what it gave up."""
        ...

    def schema(self, database: str | None) -> AbstractContextManager[Schema]:
        """Open the tables of a database as they are."""
        ...

    def back_up(self, file: Path, database: str | None) -> None:
        """Write all of a database to a new file, while the service goes on."""
        ...

    def restore(self, file: Path, database: str | None) -> None:
        """Make a new database of a backup."""
        ...

    def retain(self, database: str | None) -> Retained:
        """Let go of all that is older than the settings say, or for which there is no room; return what went."""
        ...

    def create_token(
        self,
        name: str,
        scopes: Sequence[Scope],
        sensors: Sequence[str] | None,
        days: int | None,
        database: str | None,
    ) -> str:
        """Keep a new token, and return it; raises InputError for a name that is none, or taken."""
        ...

    def revoke_token(self, name: str, database: str | None) -> None:
        """Let a token be good for nothing; raises NotFoundError if there is none of that name."""
        ...

    def tokens(self, database: str | None) -> Sequence[Token]:
        """Return all tokens, oldest first."""
        ...
