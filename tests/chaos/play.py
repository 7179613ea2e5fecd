"""One replay: traffic goes in, processes are killed, and what is left is read when nothing waits any more."""

from __future__ import annotations

import random
import sys
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from service.client.client import Client
from service.client.patience import Patience
from service.errors import StoreError, YochoError
from service.store.jobs import JobState
from service.store.sql import SqlStore
from tests.chaos.outcome import Outcome, outcome_of
from tests.chaos.processes import YOCHO, Kept, answers, environment, free_port
from tests.chaos.traffic import posts
from tests.outputs.receivers import SECRET, Hook, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from service.store.deliveries import Standing
    from tests.chaos.traffic import Post
    from tests.databases import PostgresServer

REPOSITORY = Path(__file__).resolve().parent.parent.parent
OUTPUTS = """
[eve]
type = "file"
path = "eve.json"
allowed = true

[hook]
type = "webhook"
url = "{url}"
secret_file = "secret"
allowed = true
longest_pause = 2
"""
FOR_EVER = {f"keep_{kind}_days": "0" for kind in ("counts", "windows", "alerts", "events", "jobs", "patterns")}
"""What is too old is let go of when a worker has time: that has nothing to do with kills."""
_STEP = 0.05
_PATIENCE = 600.0
"""Seconds after which something that should come to an end does not."""
_DOWN = 1.5
"""Seconds for which a killed database is away, at most."""


@dataclass(frozen=True)
class PlaySpec:
    """A replay."""

    minutes: int
    """Of each sensor."""
    kills: int = 0
    """Of each kind of process."""
    seed: int = 1
    gap: float = 3.0
    """Seconds of a process between it could have begun to work and its end, at most."""


@dataclass
class Played:
    """What came of a replay."""

    outcome: Outcome
    kills: dict[str, int] = field(default_factory=dict)
    """How often each kind of process was killed ..."""
    at_work: dict[str, int] = field(default_factory=dict)
    """... and how often work was waiting then."""
    accepted: int = 0
    """Windows, looks and captures that were accepted over HTTP, told by an answer."""
    ended: dict[str, list[int]] = field(default_factory=dict)
    """Codes with which processes ended by themselves."""
    repeated: dict[str, int] = field(default_factory=dict)
    """How many events each output was told again."""
    left: list[str] = field(default_factory=list)
    """Files that nobody needs any more."""
    seconds: float = 0.0


class Gate:
    """Lets feeders go on in step with the kills, so that there is work up to the last one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._share = 0.0

    def open(self, share: float) -> None:
        """Let through what comes up to a share of all."""
        with self._changed:
            self._share = share
            self._changed.notify_all()

    def wait(self, share: float) -> None:
        """Wait until a share may be had."""
        with self._changed:
            self._changed.wait_for(lambda: self._share >= share)


class Feeder(threading.Thread):
    """Posts what a sensor has to post, in order, as often as it takes."""

    def __init__(self, url: str, things: Sequence[Post], gate: Gate) -> None:
        super().__init__(daemon=True)
        self._url, self._things, self._gate = url, things, gate
        self.jobs: list[str] = []
        self.accepted = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        """Post all of it."""
        patience = Patience(tries=1_000_000, first=0.05, longest=1.0)
        try:
            with Client(self._url, patience=patience) as client:
                for number, thing in enumerate(self._things):
                    self._gate.wait(number / len(self._things))
                    answer = thing.send(client)
                    self.accepted += 1
                    if answer.job is not None:
                        self.jobs.append(answer.job)
        except (YochoError, OSError) as error:
            self.failure = error


class Play:
    """The processes of a service, in a folder of its own, and what happens to them."""

    def __init__(self, spec: PlaySpec, folder: Path, url: str, server: PostgresServer | None, hook: Hook) -> None:
        self._spec, self._folder, self._server, self._hook = spec, folder, server, hook
        self._random = random.Random(spec.seed)
        self._scratch = folder / "scratch"
        self._scratch.mkdir()
        (folder / "secret").write_bytes(SECRET)
        (folder / "outputs.toml").write_text(OUTPUTS.format(url=hook.url))
        self._allowed = folder / "allowed"
        self._port = free_port()
        self._gate = Gate()
        self._let(0.0)
        here = f"http://127.0.0.1:{self._port}"
        self._feeders = [Feeder(here, things, self._gate) for things in posts(spec.minutes, folder / "in").values()]
        given = {"database": url, "outputs": "outputs.toml", "log_level": "warning"} | FOR_EVER
        own = environment(REPOSITORY, self._scratch, **given)
        serve = (*YOCHO, "serve", "--no-worker", "--port", str(self._port))
        tap = (sys.executable, "-m", "tests.chaos.tap", here, "spool", str(spec.minutes), str(self._allowed))
        self._api = Kept("api", serve, own, folder)
        self._workers = [Kept(f"worker-{number}", (*YOCHO, "worker"), own, folder) for number in (1, 2)]
        self._tap = Kept("sensor", tap, own, folder, last=0)
        self._kept = [self._api, *self._workers, self._tap]
        self._store = SqlStore(url)

    def play(self) -> Played:
        """Do all of it."""
        began = time.monotonic()
        kills: dict[str, int] = {}
        at_work: dict[str, int] = {}
        try:
            allowance = self._begin()
            for kind in self._struck(allowance):
                at_work[kind] = at_work.get(kind, 0) + self._waits()
                self._strike(kind)
                kills[kind] = kills.get(kind, 0) + 1
                self._let(sum(kills.values()) / (self._spec.kills * len(self._kinds())))
            self._let(1.0)
            self._until(self._is_over, "an end")
            self._check_jobs()
            return self._played(kills, at_work, time.monotonic() - began)
        finally:
            self._end()

    def _begin(self) -> float:
        """Start everything; return how many seconds that takes."""
        began = time.monotonic()
        for kept in self._kept[:-1]:
            kept.start()
        self._until(lambda: answers(self._port), "an API that answers")
        allowance = time.monotonic() - began
        # Outputs begin with what happens after they were first known.
        self._until(lambda: len(self._standings()) == 2, "outputs")
        self._tap.start()
        for feeder in self._feeders:
            feeder.start()
        self._let(1.0 if not self._spec.kills else 0.01)
        return allowance

    def _kinds(self) -> list[str]:
        return ["api", "worker", "sensor"] + (["database"] if self._server else [])

    def _struck(self, allowance: float) -> Iterator[str]:
        """Yield what is to be killed, when it is time."""
        left = dict.fromkeys(self._kinds(), self._spec.kills)
        # One that starts alone is quicker than several at once; of two workers each is struck half as often.
        wait = {"api": allowance / 2, "worker": allowance / 4, "sensor": allowance / 4, "database": allowance / 4}
        due = {kind: time.monotonic() + self._gap(wait[kind]) for kind in left}
        while any(left.values()):
            kind = min((kind for kind in left if left[kind]), key=lambda kind: due[kind])
            while time.monotonic() < due[kind]:
                self._look()
                time.sleep(min(_STEP, max(0.0, due[kind] - time.monotonic())))
            yield kind
            left[kind] -= 1
            due[kind] = time.monotonic() + self._gap(wait[kind])

    def _gap(self, wait: float) -> float:
        return wait + self._random.uniform(0.0, self._spec.gap)

    def _strike(self, kind: str) -> None:
        if kind == "database" and self._server is not None:
            self._server.kill()
            time.sleep(self._random.uniform(0.0, _DOWN))
            self._server.start()
            return
        struck = {"api": self._api, "sensor": self._tap}.get(kind) or self._random.choice(self._workers)
        struck.kill()
        struck.look()
        if kind == "worker":
            self._free_outputs()

    def _free_outputs(self) -> None:
        """Let others have the outputs at once, as if the minute were over for which the killed one had them."""
        with suppress(StoreError), self._store.begin() as unit:
            for standing in unit.deliveries.standings():
                unit.deliveries.change(standing.delivery, replace(standing.delivery, until=0))

    def _let(self, share: float) -> None:
        """Let a share of all that there is come."""
        unfinished = self._allowed.with_suffix(".part")
        unfinished.write_text(str(round(share * self._spec.minutes)))
        unfinished.replace(self._allowed)
        self._gate.open(share)

    def _look(self) -> None:
        for kept in self._kept:
            kept.look()
        for feeder in self._feeders:
            if feeder.failure is not None:
                raise feeder.failure

    def _until(self, check: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _PATIENCE
        while not check():
            if time.monotonic() > end:
                raise TimeoutError(f"{what} does not come; see {self._folder}")
            self._look()
            time.sleep(_STEP)

    def _waits(self) -> bool:
        """Tell whether work waits."""
        try:
            with self._store.read() as reader:
                return reader.jobs.backlog().jobs > 0
        except StoreError:
            return False

    def _standings(self) -> Sequence[Standing]:
        with self._store.read() as reader:
            return reader.deliveries.standings()

    def _is_over(self) -> bool:
        if not self._tap.done or any(feeder.is_alive() for feeder in self._feeders):
            return False
        return not self._waits() and all(standing.behind == 0 for standing in self._standings())

    def _check_jobs(self) -> None:
        """Raise AssertionError unless everything is done that was accepted, over HTTP and by a sensor."""
        with self._store.read() as reader:
            for job_id in (job_id for feeder in self._feeders for job_id in feeder.jobs):
                job = reader.jobs.job(job_id)
                assert job is not None, f"{job_id} was accepted, and is gone"
                assert job.state is JobState.DONE, f"{job_id} was accepted, and is {job.state}: {job.outcome}"

    def _played(self, kills: dict[str, int], at_work: dict[str, int], seconds: float) -> Played:
        self._end()
        told = {
            "eve": (self._folder / "eve.json").read_bytes().splitlines(),
            "hook": [body for _, _, body in self._hook.requests],
        }
        outcome = outcome_of(self._store, told)
        events = outcome.count("events")
        return Played(
            outcome,
            kills,
            at_work,
            accepted=sum(feeder.accepted for feeder in self._feeders),
            ended={kept.name: kept.ended for kept in self._kept if kept.ended},
            repeated={name: len(documents) - events for name, documents in told.items()},
            left=sorted(path.name for path in self._scratch.iterdir()),
            seconds=seconds,
        )

    def _end(self) -> None:
        for kept in self._kept:
            kept.stop()
        self._store.close()


def play(spec: PlaySpec, folder: Path, url: str, server: PostgresServer | None = None) -> Played:
    """Replay into an empty database; its server is killed as well if one is given."""
    with ExitStack() as stack:
        hook = Hook()
        stack.enter_context(running(hook))
        return Play(spec, folder, url, server, hook).play()
