from __future__ import annotations

import pytest

from service.store.repository import AlertQuery, PatternQuery


@pytest.mark.parametrize("query", [AlertQuery, PatternQuery])
def test_a_page_has_room_for_one_item_at_least(query: type[AlertQuery | PatternQuery]) -> None:
    assert query(limit=1).limit == 1
    with pytest.raises(ValueError, match="limit: 0"):
        query(limit=0)
