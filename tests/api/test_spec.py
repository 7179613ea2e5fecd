from __future__ import annotations

import pytest

from service.api.spec import ApiSpec


@pytest.mark.parametrize("bound", ["max_json_bytes", "max_capture_bytes", "max_rows"])
def test_a_bound_leaves_room_for_something(bound: str) -> None:
    with pytest.raises(ValueError, match=f"{bound}: 0 is less than 1"):
        ApiSpec(**{bound: 0})  # type: ignore[arg-type]
