from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.patterns.catalogue import (
    FORGOTTEN,
    MOST_RECURRING,
    MOST_SINGLE,
    Catalogue,
    Update,
    judge,
    remembered,
)
from service.patterns.factorize import FactorizationSpec, PatternFinder
from service.patterns.pattern import Event, Pattern, State, Status
from service.windows.matrix import count_matrix
from tests.builders import a_pattern
from tests.traffic import SECOND, START, Try, ports, sweep, window

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE = 60 * SECOND
EMPTY = Catalogue("lab", MINUTE)


def seen(
    catalogue: Catalogue, tries: list[Try], number: int = 0, *, spec: FactorizationSpec | None = None
) -> Update:
    """Let a window, so many minutes after the first, pass through a finder that has just begun."""
    counts = window(tries, start=START + number * MINUTE)
    shapes = PatternFinder(spec or FactorizationSpec()).find(count_matrix(counts), catalogue.known())
    return catalogue.update(counts, shapes)


def campaign(
    net: int, services: Sequence[str], targets: int = 5, members: Sequence[int] = range(1, 7)
) -> list[Try]:
    return [t for i in members for s in services for t in sweep(f"10.{net}.0.{i}", s, targets)]


def by_services(update: Update) -> dict[frozenset[str], Pattern]:
    return {frozenset(name for name, _ in f.pattern.services): f.pattern for f in update.followers}


TELNET, SMB = ("tcp/23", "tcp/2323"), ("tcp/445",)
WHOLE = ("tcp/1", "tcp/2", "tcp/3", "tcp/4", "tcp/5")


def test_a_pattern_keeps_its_id_while_sources_and_order_change() -> None:
    first = seen(EMPTY, campaign(1, TELNET) + campaign(2, SMB, 9))
    later = seen(first.catalogue, campaign(4, SMB, 40) + campaign(3, TELNET), 1)
    ids = {services: pattern.id for services, pattern in by_services(first).items()}
    assert set(ids) == {frozenset(TELNET), frozenset(SMB)}
    assert {services: pattern.id for services, pattern in by_services(later).items()} == ids
    found = [f.pattern for f in later.followers]
    assert {(p.windows, p.first_seen, p.last_seen) for p in found} == {(2, START, START + 2 * MINUTE)}
    assert later.catalogue.windows == 2


@pytest.mark.parametrize(
    "spec", [FactorizationSpec(births=0), FactorizationSpec(births=1), FactorizationSpec(cap=2)]
)
def test_ids_survive_other_ranks_and_other_ways_to_factorise(spec: FactorizationSpec) -> None:
    tries = campaign(1, TELNET) + campaign(2, SMB)
    first = seen(EMPTY, tries)
    later = seen(first.catalogue, tries, 1, spec=spec)
    assert {f.pattern.id for f in first.followers} == {f.pattern.id for f in later.followers}


def test_an_id_survives_weights_that_drift() -> None:
    update = seen(EMPTY, campaign(1, ["tcp/23"], 30) + campaign(1, ["tcp/2323"], 2))
    (first,) = [f.pattern for f in update.followers]
    for number in range(1, 15):
        heavy, light = max(30 - 2 * number, 2), min(2 + 2 * number, 30)
        update = seen(update.catalogue, campaign(number, ["tcp/23"], heavy) + campaign(number, ["tcp/2323"], light),
                      number)  # fmt: skip
        assert [f.pattern.id for f in update.followers] == [first.id]
    (last,) = [f.pattern for f in update.followers]
    assert last.services[0][0] == "tcp/2323"
    assert last.drift > 0.1
    assert first.drift == 0
    assert last.version > 1


def test_the_same_members_carry_an_id_over_a_change_of_services() -> None:
    pair, one_new = ["tcp/1", "tcp/2"], ["tcp/1", "tcp/2", "tcp/3", "tcp/4"]
    first = seen(EMPTY, campaign(1, pair))
    same_members = seen(first.catalogue, campaign(1, one_new), 1)
    others = seen(first.catalogue, campaign(2, one_new), 1)
    old = first.followers[0].pattern.id
    assert [f.pattern.id for f in same_members.followers] == [old]
    assert [f.pattern.id for f in others.followers] != [old]


def test_other_services_are_another_pattern() -> None:
    first = seen(EMPTY, campaign(1, TELNET))
    (other,) = seen(first.catalogue, campaign(1, ("tcp/22", "tcp/2222")), 1).followers
    assert other.pattern.id != first.followers[0].pattern.id
    assert (other.pattern.windows, other.pattern.novelty, other.pattern.born_in) == (1, 1.0, 2)


def test_novelty_is_the_distance_to_what_was_known() -> None:
    first = seen(EMPTY, campaign(1, TELNET))
    near = by_services(seen(first.catalogue, campaign(1, TELNET) + campaign(2, ("tcp/23",)), 1))
    assert near[frozenset({"tcp/23"})].novelty == pytest.approx(1 - 2**-0.5, abs=1e-3)


def test_two_shapes_never_share_an_id() -> None:
    first = seen(EMPTY, campaign(1, ("tcp/23",)))
    update = seen(first.catalogue, campaign(1, ("tcp/23",)) + campaign(2, SMB), 1)
    ids = [f.pattern.id for f in update.followers]
    assert len(set(ids)) == len(ids) == 2
    assert first.followers[0].pattern.id in ids


def test_members_are_named_with_the_share_that_is_explained() -> None:
    (only,) = seen(EMPTY, sweep("10.0.0.66", "tcp/445", 50)).followers
    assert only.pattern.members == (("10.0.0.66", 1.0),)
    assert only.shares == {0: 1.0}
    assert (only.pattern.member_count, only.pattern.reach, only.pattern.prevalence) == (1, 1.0, 1.0)


def test_prevalence_counts_the_windows_since_birth() -> None:
    update = seen(EMPTY, campaign(2, SMB))
    for number, services in enumerate([TELNET, SMB, SMB, TELNET], start=1):
        update = seen(update.catalogue, campaign(1, services), number)
    (telnet,) = [f.pattern for f in update.followers]
    assert (telnet.windows, telnet.prevalence) == (2, 2 / 4)


def test_large_patterns_are_listed_in_part_counted_whole_and_known_again() -> None:
    first = seen(EMPTY, ports("10.0.0.66", "10.0.0.1", 1000))
    (only,) = first.followers
    assert only.pattern.service_count == 1000
    assert len(only.pattern.services) == 256
    assert only.pattern.name == "1000 tcp services"
    (again,) = seen(first.catalogue, ports("10.7.0.66", "10.0.0.2", 1000), 1).followers
    assert again.pattern.id == only.pattern.id


# Status


def test_a_pattern_becomes_known_unless_a_person_has_spoken() -> None:
    update = seen(EMPTY, campaign(1, TELNET) + campaign(2, SMB))
    smb = by_services(update)[frozenset(SMB)].id
    judged = tuple(judge(p, Status.MUTED, 1)[0] if p.id == smb else p for p in update.catalogue.patterns)
    catalogue = replace(update.catalogue, patterns=judged)
    statuses = []
    for number in range(1, 6):
        update = seen(catalogue, campaign(1, TELNET) + campaign(2, SMB), number)
        catalogue = update.catalogue
        statuses.append({p.status for p in by_services(update).values()})
    assert statuses == [{Status.NEW, Status.MUTED}] * 3 + [{Status.KNOWN, Status.MUTED}] * 2


def test_nobody_can_make_a_pattern_new() -> None:
    with pytest.raises(ValueError, match="known, benign or muted"):
        judge(a_pattern(), Status.NEW, 1)


# What happens to patterns


def test_a_pattern_retires_and_returns_under_its_id() -> None:
    first = seen(EMPTY, campaign(1, TELNET))
    (telnet,) = [f.pattern for f in first.followers]
    day = FORGOTTEN // MINUTE
    still = seen(first.catalogue, campaign(2, SMB), day + 1)
    assert [p.state for p in still.catalogue.patterns] == [State.LIVE, State.LIVE]
    gone = seen(still.catalogue, campaign(2, SMB), day + 2)
    assert [(v.event, v.pattern) for v in gone.versions] == [(Event.RETIRED, telnet.id)]
    assert len(gone.catalogue.known()) == 1
    back = seen(gone.catalogue, campaign(3, TELNET), day + 5)
    (again,) = [f.pattern for f in back.followers]
    assert (again.id, again.state, again.windows, again.version) == (telnet.id, State.LIVE, 2, 3)
    assert [v.event for v in back.versions] == [Event.RETURNED]


def test_a_pattern_that_falls_apart_is_split() -> None:
    whole = WHOLE
    first = seen(EMPTY, campaign(1, whole, members=range(1, 11)))
    (old,) = [f.pattern for f in first.followers]
    parts = campaign(1, whole[:1], members=range(1, 6)) + campaign(1, whole[4:], members=range(6, 11))
    update = seen(first.catalogue, parts, 1)
    children = [f.pattern for f in update.followers]
    assert {child.parents for child in children} == {(old.id,)}
    (split,) = [v for v in update.versions if v.event is Event.SPLIT]
    assert (split.pattern, set(split.others)) == (old.id, {child.id for child in children})


def test_patterns_that_become_one_are_merged_into_it() -> None:
    parts = campaign(1, ("tcp/1",), members=range(1, 6)) + campaign(1, ("tcp/5",), members=range(6, 11))
    first = seen(EMPTY, parts)
    old = {f.pattern.id for f in first.followers}
    whole = campaign(1, WHOLE, members=range(1, 11))
    update = seen(first.catalogue, whole, 1)
    (new,) = [f.pattern for f in update.followers]
    assert set(new.parents) == old
    gone = {p.id: p for p in update.catalogue.patterns if p.id in old}
    assert {(p.state, p.successor) for p in gone.values()} == {(State.MERGED, new.id)}
    again = seen(update.catalogue, parts, 2)
    assert {f.pattern.id for f in again.followers} == old
    assert all(f.pattern.successor is None for f in again.followers)


def test_the_larger_part_keeps_the_id_and_the_other_is_split_off() -> None:
    first = seen(EMPTY, campaign(1, WHOLE, members=range(1, 13)))
    (old,) = [f.pattern for f in first.followers]
    parts = campaign(1, WHOLE[:4], members=range(1, 7)) + campaign(1, WHOLE[4:], members=range(7, 13))
    update = seen(first.catalogue, parts, 1)
    large, small = (f.pattern for f in sorted(update.followers, key=lambda f: -f.pattern.service_count))
    assert large.id == old.id
    assert small.parents == (old.id,)
    assert (Event.SPLIT, old.id, (small.id,)) in {(v.event, v.pattern, v.others) for v in update.versions}
    together = seen(update.catalogue, campaign(1, WHOLE, members=range(1, 13)), 2)
    assert [f.pattern.id for f in together.followers] == [old.id]
    assert {p.id: p.successor for p in together.catalogue.patterns} == {old.id: None, small.id: old.id}


def test_patterns_of_other_sources_are_not_taken_for_parts() -> None:
    first = seen(EMPTY, campaign(1, WHOLE))
    update = seen(first.catalogue, campaign(2, WHOLE[:1]) + campaign(3, WHOLE[4:]), 1)
    assert {v.event for v in update.versions} == {Event.BORN}


def test_patterns_that_drift_together_are_merged_into_the_older() -> None:
    update = seen(EMPTY, campaign(1, TELNET))
    (old,) = [f.pattern for f in update.followers]
    twin = replace(old, id="twin", windows=1)
    catalogue = replace(update.catalogue, patterns=(replace(old, windows=9), twin))
    after = seen(catalogue, campaign(2, TELNET), 1)
    assert [f.pattern.id for f in after.followers] == [old.id]
    assert {p.id: (p.state, p.successor) for p in after.catalogue.patterns} == {
        old.id: (State.LIVE, None),
        "twin": (State.MERGED, old.id),
    }


# Memory


def test_versions_count_up_and_unchanged_patterns_are_not_written() -> None:
    first = seen(EMPTY, campaign(1, TELNET) + campaign(2, SMB))
    assert [(v.version, v.event) for v in first.versions] == [(1, Event.BORN)] * 2
    later = seen(first.catalogue, campaign(1, TELNET), 1)
    assert [p.id for p in later.patterns] == [by_services(later)[frozenset(TELNET)].id]
    assert later.versions == ()


def test_a_flood_of_patterns_pushes_out_no_recurring_one() -> None:
    recurring = [a_pattern(id=f"r{n}", windows=2, last_seen=START + n) for n in range(MOST_RECURRING + 1)]
    single = [a_pattern(id=f"s{n}", last_seen=START + 10**9 + n) for n in range(10 * MOST_SINGLE)]
    kept = remembered([*single, *recurring])
    assert kept == (*single[-MOST_SINGLE:], *recurring[1:])


def test_a_window_without_attempts_changes_nothing_but_the_count() -> None:
    first = seen(EMPTY, campaign(1, TELNET))
    update = seen(first.catalogue, [], 1)
    assert update.catalogue == replace(first.catalogue, windows=2)
    assert (update.followers, update.patterns, update.versions) == ([], (), ())


@given(
    st.lists(
        st.lists(st.tuples(st.integers(1, 6), st.sampled_from([1, 2, 3, 4, 23, 445])), max_size=14),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([1, 700]),
)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_whatever_comes_a_catalogue_stays_sound(windows: list[list[tuple[int, int]]], pace: int) -> None:
    catalogue = EMPTY
    born: set[str] = set()
    for number, tries in enumerate(windows):
        update = seen(
            catalogue, [Try(f"10.0.0.{source}", "10.9.0.1", f"tcp/{port}") for source, port in tries], pace * number
        )
        by_id = {pattern.id: pattern for pattern in update.catalogue.patterns}
        assert len(by_id) == len(update.catalogue.patterns)
        assert update.catalogue.windows == catalogue.windows + 1
        assert {f.pattern for f in update.followers} <= set(by_id.values())
        assert len({f.pattern.id for f in update.followers}) == len(update.followers)
        assert {source for f in update.followers for source in f.shares} <= set(range(len({s for s, _ in tries})))
        new = {v.pattern for v in update.versions if v.event is Event.BORN}
        assert not new & born
        born |= new
        assert set(by_id) <= born
        for pattern in by_id.values():
            assert (pattern.state is State.MERGED) == (pattern.successor is not None)
            assert pattern.successor is None or pattern.successor in born - {pattern.id}
            assert pattern.version >= 1
        catalogue = update.catalogue
