from __future__ import annotations

import pytest

from service.store.memory import MemoryStore
from tests.builders import MINUTE, START, a_record


@pytest.mark.parametrize(("most", "kept"), [(None, 5), (2, 2), (1, 1), (0, 0)])
def test_only_the_latest_windows_are_kept_if_asked(most: int | None, kept: int) -> None:
    store = MemoryStore(most)
    records = [a_record(start=START + i * MINUTE) for i in range(5)]
    for record in records:
        with store.begin() as unit:
            unit.add_window(record)
    with store.read() as reader:
        found = [reader.window(record.counts.id) is not None for record in records]
    assert found == [False] * (5 - kept) + [True] * kept
