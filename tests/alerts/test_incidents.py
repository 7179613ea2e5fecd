from __future__ import annotations

from service.alerts.incidents import DAY, HOUR, KEPT, Channel, Incidents

START = 20_000 * DAY


def test_an_incident_keeps_its_key_while_it_goes_on() -> None:
    incidents = Incidents()
    keys = [incidents.note(Channel.SURGE, {23}, 5.0, START + i * HOUR, START + (i + 1) * HOUR) for i in range(3)]
    assert len(set(keys)) == 1
    assert incidents.note(Channel.SURGE, {445}, 5.0, START, START + HOUR) != keys[0]
    assert incidents.note(Channel.BREADTH, {23}, 5.0, START, START + HOUR) != keys[0]


def test_a_pause_ends_it() -> None:
    incidents = Incidents()
    first = incidents.note(Channel.SURGE, {23}, 5.0, START, START + HOUR)
    assert incidents.note(Channel.SURGE, {23}, 5.0, START + 4 * HOUR, START + 5 * HOUR) != first


def test_a_faint_echo_does_not_prolong_it() -> None:
    incidents = Incidents()
    first = incidents.note(Channel.SURGE, {23}, 9.0, START, START + HOUR)
    for i in range(1, 4):
        incidents.note(Channel.SURGE, {23}, 2.0, START + i * HOUR, START + (i + 1) * HOUR)
    assert incidents.note(Channel.SURGE, {23}, 9.0, START + 4 * HOUR, START + 5 * HOUR) != first


def test_patterns_that_share_half_of_their_services_are_one() -> None:
    incidents = Incidents()
    first = incidents.note(Channel.PATTERN, {1, 2, 3, 4}, 5.0, START, START + DAY)
    assert incidents.note(Channel.PATTERN, {1, 2, 3}, 5.0, START + HOUR, START + DAY + HOUR) == first
    assert incidents.note(Channel.PATTERN, {1, 8, 9}, 5.0, START + HOUR, START + DAY + HOUR) != first


def test_sliding_windows_count_each_hour_once() -> None:
    incidents = Incidents()
    for i in range(49):
        incidents.advance(START + i * HOUR, START + i * HOUR + DAY)
    assert incidents.days == 3.0


def test_memory_is_bounded_and_the_highest_stay() -> None:
    incidents = Incidents()
    for i in range(3 * KEPT):
        at = START + 3 * i * HOUR // 100
        incidents.note(Channel.SURGE, {i}, 1.0 + i % 7, at, at + HOUR)
    incidents.advance(START + 5 * DAY, START + 5 * DAY + HOUR)
    kept = incidents.every()
    assert len(kept) == KEPT
    assert min(known.best for known in kept) >= 5.0


def test_the_threshold_rises_with_the_scores_of_the_past() -> None:
    def threshold(top: float) -> float:
        incidents = Incidents()
        for i in range(60 * 24):
            at = START + i * HOUR
            incidents.note(Channel.SURGE, {i % 11}, 1.0 + (i * 37 % 100) / 100 * top, at, at + HOUR)
            incidents.advance(at, at + HOUR)
        return incidents.tail(Channel.SURGE, 0.5, 1000.0)[1]

    assert threshold(3.0) < threshold(9.0)


def test_what_the_same_sources_did_is_one_event() -> None:
    """A list of ports that nobody tried before leaves one high score behind, not one for each of its ports."""

    def threshold(*, one_event: bool) -> float:
        incidents = Incidents()
        for day in range(60):
            at = START + day * DAY
            for i in range(12):
                incidents.note(Channel.NOVELTY, {100 * day + i}, 1.0 + (7 * day + i) % 10 / 10, at, at + DAY)
            if day == 30:
                first = incidents.note(Channel.NOVELTY, {1}, 20.0, at, at + DAY)
                for port in range(2, 12):
                    beside = first if one_event else None
                    incidents.note(Channel.NOVELTY, {port}, 19.0, at, at + DAY, beside=beside)
            incidents.advance(at, at + DAY)
        return incidents.tail(Channel.NOVELTY, 0.1, 1000.0)[1]

    assert threshold(one_event=True) < 3.0
    assert threshold(one_event=False) > 10.0


def test_events_that_turn_out_to_be_one_have_one_name() -> None:
    incidents = Incidents()
    first, second, third = (incidents.note(Channel.NOVELTY, {port}, 5.0, START, START + HOUR) for port in (1, 2, 3))
    incidents.note(Channel.NOVELTY, {3}, 4.0, START, START + HOUR, beside=second)
    incidents.note(Channel.NOVELTY, {2}, 4.0, START, START + HOUR, beside=first)
    assert {known.key for known in incidents.every()} == {first, second, third}
    assert {known.of for known in incidents.every()} == {first}
