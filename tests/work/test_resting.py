from __future__ import annotations

from service.work.resting import Delay, Resting

SECOND = 10**9


def test_delays_grow_up_to_a_longest() -> None:
    delay = Delay(5)
    assert [delay.next() for _ in range(5)] == [1, 2, 4, 5, 5]
    assert Delay(0.1).next() == 0.1


def test_who_rests_is_tried_later_each_time() -> None:
    resting = Resting(30)
    assert resting.rest("a", 0) == 1
    assert resting.now(SECOND - 1) == {"a"}
    assert resting.now(SECOND) == set()
    assert resting.rest("a", SECOND) == 2
    assert resting.rest("b", 2 * SECOND) == 1
    assert resting.now(2 * SECOND) == {"a", "b"}
    resting.wake("a")
    assert resting.now(2 * SECOND) == {"b"}
    assert resting.rest("a", 0) == 1
