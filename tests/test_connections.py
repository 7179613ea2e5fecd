from __future__ import annotations

import resource
from collections import Counter

import pytest

from service.connections import Connections, ConnectionSpec, Cut, Pace
from service.observe import Silent


class Fake:
    def __init__(self, address: str = "192.0.2.1", *, waits: bool = True, late: Cut | None = None) -> None:
        self.address, self.waits, self._late = address, waits, late
        self.ended: Cut | None = None

    def judge(self, now: float) -> Cut | None:
        return self._late

    def end(self, why: Cut) -> bool:
        self.ended = why
        return why is Cut.UNREADABLE


class Heard(Silent):
    def __init__(self) -> None:
        self.open = 0
        self.cuts: Counter[str] = Counter()

    def connected(self, number: int, /) -> None:
        self.open = number

    def cut(self, why: str, /) -> None:
        self.cuts[why] += 1


def connections(most: int = 4, of_address: int = 2) -> tuple[Connections, Heard]:
    heard = Heard()
    return Connections(ConnectionSpec(most, of_address), heard), heard


def test_the_oldest_of_an_address_that_waits_makes_room_for_the_next() -> None:
    crowd, heard = connections()
    busy, first, second, other = Fake(waits=False), Fake(), Fake(), Fake("192.0.2.2")
    assert all(crowd.admit(each) for each in (other, busy, first, second))
    assert [each.ended for each in (other, busy, first, second)] == [None, None, Cut.CROWDED, None]
    assert len(crowd) == heard.open == 3
    assert heard.cuts == {"crowded": 1}


def test_who_comes_when_all_are_at_work_is_refused() -> None:
    crowd, heard = connections()
    assert all(crowd.admit(Fake(waits=False)) for _ in range(2))
    third = Fake()
    assert not crowd.admit(third)
    assert third.ended is Cut.REFUSED
    assert len(crowd) == 2
    assert heard.cuts == {"refused": 1}


def test_of_all_addresses_together_there_is_a_bound_as_well() -> None:
    crowd, _ = connections(most=4, of_address=4)
    many = [Fake(f"192.0.2.{number}") for number in range(10)]
    assert all(crowd.admit(each) for each in many)
    assert [each.ended for each in many] == [Cut.CROWDED] * 6 + [None] * 4


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:0:0:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("", "", True),
        ("/run/socket", "/run/socket", True),
    ],
)
def test_whose_connections_count_together(first: str, second: str, together: bool) -> None:
    crowd, _ = connections(of_address=1)
    older = Fake(first)
    crowd.admit(older)
    crowd.admit(Fake(second))
    assert (older.ended is Cut.CROWDED) == together


def test_who_leaves_makes_room_and_may_leave_twice() -> None:
    crowd, heard = connections(most=1)
    first, second = Fake(waits=False), Fake(waits=False)
    crowd.admit(first)
    crowd.leave(first)
    crowd.leave(first)
    assert heard.open == 0
    assert crowd.admit(second)


def test_who_is_told_why_counts_until_it_leaves() -> None:
    crowd, heard = connections(most=1)
    told = Fake()
    crowd.admit(told)
    crowd.expel(told, Cut.UNREADABLE)
    assert (len(crowd), heard.cuts) == (1, {"unreadable": 1})
    # It waits for nothing else: others may have its place.
    assert crowd.admit(Fake("192.0.2.9"))
    assert (told.ended, len(crowd)) == (Cut.CROWDED, 1)


def test_a_sweep_ends_who_is_late() -> None:
    crowd, heard = connections()
    late, good = Fake(late=Cut.SLOW_BODY), Fake()
    crowd.admit(late)
    crowd.admit(good)
    crowd.sweep(0.0)
    assert (late.ended, good.ended) == (Cut.SLOW_BODY, None)
    assert heard.cuts == {"slow_body": 1}
    assert list(crowd) == [good]


def test_a_pace_is_judged_over_spans() -> None:
    pace = Pace(seconds=10, rate=5)
    assert not pace.is_slow(0, 0)
    assert not pace.is_slow(9, 0)
    assert not pace.is_slow(10, 50)
    # What was fast once earns nothing for later.
    assert not pace.is_slow(19, 1_000)
    assert not pace.is_slow(20, 1_000)
    assert pace.is_slow(30, 1_049)
    pace.rest()
    assert not pace.is_slow(60, 1_049)


@pytest.mark.parametrize("field", ["most", "most_of_address", "idle_seconds", "stall_seconds", "least_rate"])
def test_bounds_are_positive(field: str) -> None:
    with pytest.raises(ValueError, match="positive"):
        ConnectionSpec(**{field: 0})


@pytest.mark.parametrize(
    ("limits", "raised", "most"),
    [
        ((1024, 4096), (2304, 4096), 2048),
        ((1024, 1024), (1024, 1024), 768),
        ((8192, 8192), None, 2048),
        ((1024, resource.RLIM_INFINITY), (2304, resource.RLIM_INFINITY), 2048),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None, 2048),
    ],
)
def test_there_are_no_more_than_files(
    limits: tuple[int, int], raised: tuple[int, int] | None, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: told.append(pair))
    assert ConnectionSpec(most=2048).that_fit().most == most
    assert told == ([] if raised is None else [raised])
