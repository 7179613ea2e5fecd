from __future__ import annotations

import numpy as np

from service.capture.logs.tally import LineTally


def test_bad_lines_are_counted_by_reason_with_the_first() -> None:
    tally = LineTally()
    tally.bad("late", np.array([9, 8]))
    tally.bad("early", np.array([3]))
    tally.bad("late", np.array([7, 20]))
    tally.bad("never", np.array([], dtype=np.int64))
    assert [(lines.reason, lines.count, lines.first, lines.file) for lines in tally.bad_lines("a.log")] == [
        ("early", 1, 3, "a.log"),
        ("late", 4, 7, "a.log"),
    ]


def test_reasons_from_the_log_itself_are_bounded() -> None:
    tally = LineTally()
    tally.skip(f"event_type/{i}" for i in range(1000))
    tally.skip(["x" * 1000, "\x1b[31m"])
    assert len(tally.skipped) <= 65
    assert sum(tally.skipped.values()) == 1002
    assert all(len(reason) <= 40 and reason.isprintable() for reason in tally.skipped)
