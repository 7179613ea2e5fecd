from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.client.patience import Patience
from service.errors import DeliveryError, StoreError
from service.export.severity import Severity
from service.observe import Silent
from service.outputs.courier import Courier, CourierSpec, Outlet
from service.outputs.wanted import Wanted
from service.store.events import EventKind
from service.store.sql import SqlStore
from tests.builders import an_alert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from service.outputs.output import Notice

SECOND = 10**9
NOW = 1_800_000_000 * SECOND


class KilledError(Exception):
    """What nobody catches: the process is gone."""


class Target:
    """An output that fails as it is told to, and forgets nothing."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.failures: list[DeliveryError | None] = []
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def deliver(self, notice: Notice) -> None:
        self.before()
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        self.taken.append(notice.alert.id)
        self.after()

    def close(self) -> None:
        pass


class Heard(Silent):
    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []

    def delivered(self, output: str, /, *, success: bool) -> None:
        self.told.append((output, success))


class Bench:
    """A store, a target and a clock; a new courier is a new process."""

    def __init__(self, folder: Path) -> None:
        self.store = SqlStore(f"sqlite:///{folder}/yocho.db")
        self.target = Target()
        self.now = NOW
        self.heard = Heard()
        self.wanted = Wanted()
        self.patience = Patience(tries=3, first=1.0, longest=8.0)

    def courier(self, at_once: int = 100) -> Courier:
        outlet = Outlet("soc", self.target, self.wanted, self.patience)
        return Courier(outlet, self.store, CourierSpec(at_once=at_once), self.heard, lambda: self.now)

    def alerts(self, *names: str, **details: Any) -> None:
        for name in names:
            with self.store.begin() as unit:
                unit.save_alerts([an_alert(id=name, **details)])

    def dead(self) -> list[tuple[str, str]]:
        with self.store.read() as unit:
            return [(letter.event.alert, letter.reason) for letter in unit.deliveries.letters("soc", 100)[0]]

    def behind(self) -> int:
        with self.store.read() as unit:
            return unit.deliveries.standings()[0].behind


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.courier().step()
    yield made
    made.store.close()


def test_an_output_begins_with_what_happens_from_now_on(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.alerts("old")
    courier = bench.courier()
    courier.step()
    bench.alerts("new")
    courier.step()
    assert bench.target.taken == ["new"]
    bench.store.close()


def test_events_come_in_order_and_once(bench: Bench) -> None:
    bench.alerts("a", "b", "c")
    courier = bench.courier(at_once=2)
    assert courier.step() == 0.0
    assert courier.step() > 0
    courier.step()
    assert bench.target.taken == ["a", "b", "c"]
    assert bench.heard.told == [("soc", True)] * 3
    assert bench.behind() == 0


def test_a_kill_between_delivery_and_position_repeats_one_event(bench: Bench) -> None:
    bench.alerts("a", "b", "c")

    def kill() -> None:
        if bench.target.taken == ["a", "b"]:
            raise KilledError

    bench.target.after = kill
    with pytest.raises(KilledError):
        bench.courier().step()
    bench.target.after = lambda: None
    bench.courier().step()
    assert bench.target.taken == ["a", "b"]
    bench.now += 61 * SECOND
    bench.courier().step()
    assert bench.target.taken == ["a", "b", "b", "c"]


def test_who_finds_its_own_lease_goes_on_at_once(bench: Bench) -> None:
    bench.alerts("a")
    courier = bench.courier()

    def lose_the_store() -> None:
        raise StoreError("gone")

    bench.target.after = lose_the_store
    with pytest.raises(StoreError):
        courier.step()
    bench.target.after = lambda: None
    bench.courier().step()
    assert bench.target.taken == ["a"]
    courier.step()
    assert bench.target.taken == ["a", "a"]


def test_who_is_overtaken_moves_nothing(bench: Bench) -> None:
    bench.alerts("a", "b", "c")
    slow, quick = bench.courier(), bench.courier()

    def overtake() -> None:
        bench.target.before = lambda: None
        bench.now += 61 * SECOND
        quick.step()

    bench.target.before = overtake
    slow.step()
    assert bench.target.taken == ["a", "b", "c", "a"]
    slow.step()
    assert bench.target.taken == ["a", "b", "c", "a"]
    assert bench.behind() == 0


def test_an_output_that_fails_is_tried_again_later_and_later(bench: Bench) -> None:
    bench.alerts("a", "b")
    bench.target.failures = [DeliveryError("busy"), DeliveryError("busy", pause=20.0)]
    courier = bench.courier()
    courier.step()
    courier.step()
    assert bench.heard.told == [("soc", False)]
    bench.now += SECOND
    courier.step()
    assert bench.heard.told == [("soc", False)] * 2
    bench.now += 19 * SECOND
    bench.courier().step()
    assert bench.target.taken == []
    with bench.store.read() as unit:
        state = unit.deliveries.of("soc")
    assert state is not None
    assert (state.tries, state.failure) == (2, "busy")
    bench.now += SECOND
    courier.step()
    assert bench.target.taken == ["a", "b"]
    with bench.store.read() as unit:
        state = unit.deliveries.of("soc")
    assert state is not None
    assert (state.tries, state.failure) == (0, None)


def test_an_event_that_is_refused_so_often_is_given_up(bench: Bench) -> None:
    bench.alerts("a", "b")
    bench.target.failures = [DeliveryError("answered 500")] * 3
    for _ in range(4):
        bench.courier().step()
        bench.now += 61 * SECOND
    assert bench.dead() == [("a", "answered 500")]
    assert bench.target.taken == ["b"]


def test_an_output_that_is_away_is_waited_for(bench: Bench) -> None:
    bench.alerts("a")
    bench.target.failures = [DeliveryError("no connection", away=True)] * 50
    courier = bench.courier()
    for _ in range(51):
        courier.step()
        bench.now += 10 * SECOND
    assert bench.dead() == []
    assert bench.target.taken == ["a"]


def test_what_is_refused_for_good_is_given_up_at_once_and_may_come_back(bench: Bench) -> None:
    bench.alerts("a", "b")
    bench.target.failures = [DeliveryError("answered 400", permanent=True)]
    courier = bench.courier()
    assert courier.step() == 0.0
    courier.step()
    assert (bench.target.taken, bench.dead()) == (["b"], [("a", "answered 400")])
    bench.alerts("c")
    with bench.store.begin() as unit:
        assert unit.deliveries.put_back("soc") == 1
    courier.step()
    assert (bench.target.taken, bench.dead()) == (["b", "a", "c"], [])
    with bench.store.read() as unit:
        assert list(unit.deliveries.returned("soc", 10)) == []


def test_what_is_refused_again_is_given_up_again(bench: Bench) -> None:
    bench.alerts("a")
    bench.target.failures = [DeliveryError(f"answered {code}", permanent=True) for code in (400, 410)]
    courier = bench.courier()
    courier.step()
    with bench.store.begin() as unit:
        unit.deliveries.put_back("soc")
    courier.step()
    courier.step()
    assert (bench.target.taken, bench.dead()) == ([], [("a", "answered 410")])


def test_an_alert_that_can_not_be_written_is_given_up(bench: Bench) -> None:
    bench.alerts("a", "b")

    def choke() -> None:
        bench.target.before = lambda: None
        raise ValueError("sources: no addresses")

    bench.target.before = choke
    courier = bench.courier()
    courier.step()
    courier.step()
    assert bench.target.taken == ["b"]
    assert bench.dead() == [("a", "it can't be written in this form: sources: no addresses")]


def test_a_document_that_is_damaged_is_given_up(bench: Bench) -> None:
    with bench.store.begin() as unit:
        unit.events.add(EventKind.OPENED, [("x", "{}")])
    bench.alerts("a")
    courier = bench.courier()
    courier.step()
    courier.step()
    assert (bench.target.taken, bench.dead()) == (["a"], [("x", "its stored document is damaged")])


def test_what_is_not_wanted_is_passed_by(bench: Bench) -> None:
    bench.wanted = Wanted(severity=Severity.MEDIUM)
    bench.alerts("allowed", allowed_by="192.0.2.1")
    bench.alerts("low", score=26.0, evidence=an_alert().evidence.__class__(
        attempts=1, pairs=44, answered=0, targets=an_alert().evidence.targets,
        services=an_alert().evidence.services, windows=1,
    ))  # fmt: skip
    bench.alerts("a")
    with bench.store.begin() as unit:
        unit.desk.comment("a", "me", "Looked at it.", NOW)
    bench.courier().step()
    assert bench.target.taken == ["a"]
    assert bench.behind() == 0


def test_what_is_muted_is_silent_unless_it_is_asked_for(bench: Bench) -> None:
    bench.alerts("a")
    courier = bench.courier()
    courier.step()
    with bench.store.begin() as unit:
        unit.desk.mute("a", 1 << 62, "me")
    bench.alerts("a", updates=5)
    courier.step()
    assert bench.target.taken == ["a"]
    bench.wanted = Wanted(muted=True)
    bench.alerts("a", updates=6)
    bench.courier().step()
    assert bench.target.taken == ["a", "a"]


def test_a_stop_leaves_the_rest_for_the_next_start(bench: Bench) -> None:
    bench.alerts("a", "b", "c")
    bench.courier().step(lambda: len(bench.target.taken) == 1)
    assert bench.target.taken == ["a"]
    bench.courier().step()
    assert bench.target.taken == ["a", "b", "c"]


def test_an_impossible_spec_is_refused() -> None:
    with pytest.raises(ValueError, match="not all positive"):
        CourierSpec(lease=0.0)


class Life:
    """What may happen, and what came of it."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        bench.patience = Patience(tries=1000, first=1.0, longest=8.0)
        self.couriers = [bench.courier(at_once=2), bench.courier(at_once=2)]
        self.couriers[0].step()
        self.written: list[str] = []
        self.kills = 0

    def alert(self) -> None:
        self.written.append(f"a{len(self.written)}")
        self.bench.alerts(self.written[-1])

    def step(self) -> None:
        self._step(self.couriers[0])

    def other(self) -> None:
        self._step(self.couriers[1])

    def fail(self) -> None:
        self.bench.target.failures = [DeliveryError("busy")]

    def away(self) -> None:
        self.bench.target.failures = [DeliveryError("no connection", away=True)]

    def kill(self) -> None:
        def die() -> None:
            self.bench.target.after = lambda: None
            raise KilledError

        self.bench.target.after = die

    def minute(self) -> None:
        self.bench.now += 61 * SECOND

    def restart(self) -> None:
        self.couriers[0] = self.bench.courier(at_once=2)

    def _step(self, courier: Courier) -> None:
        try:
            courier.step()
        except KilledError:
            self.kills += 1


STEPS = st.lists(
    st.sampled_from(
        [Life.alert, Life.step, Life.other, Life.fail, Life.away, Life.kill, Life.minute, Life.restart]
    ),
    min_size=1,
    max_size=30,
)


@given(steps=STEPS)
@settings(max_examples=40)
def test_nothing_is_lost_or_out_of_order_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Callable[[Life], None]]
) -> None:
    """Each kill repeats at most one event; apart from repetitions all come once, and in order."""
    life = Life(Bench(tmp_path_factory.mktemp("run")))
    for what in steps:
        what(life)
    for _ in range(len(life.written) + 4):
        life.minute()
        life.step()
    taken = life.bench.target.taken
    places = [life.written.index(name) for name in taken]
    assert list(dict.fromkeys(taken)) == life.written
    assert places == sorted(places)
    assert len(taken) <= len(life.written) + life.kills
    life.bench.store.close()
