"""How often somebody may ask: token buckets."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class RateSpec:
    """So many requests a second each, and so many at once; raises ValueError unless all is positive."""

    per_second: float = 100.0
    burst: int = 400
    most: int = 10_000
    """Of whom is remembered how much they asked; beyond, those who were silent longest begin anew."""

    def __post_init__(self) -> None:
        if min(self.per_second, self.burst, self.most) <= 0:
            raise ValueError(f"rate: {self.per_second} a second, {self.burst} at once make no sense")


class Rates:
    """Counts what each of many asks (leaky bucket as a meter, ITU-T I.371); `clock` is monotonic, seconds."""

    def __init__(self, spec: RateSpec, clock: Callable[[], float]) -> None:
        self._spec = spec
        self._clock = clock
        self._empty_at: OrderedDict[str, float] = OrderedDict()
        """When the bucket of each will have run dry."""
        self._counting = threading.Lock()

    def wait(self, who: str) -> float:
        """Count a request; return 0, or the seconds after which it may be made (then it is not counted)."""
        now, cost = self._clock(), 1 / self._spec.per_second
        with self._counting:
            level = max(self._empty_at.pop(who, now), now)
            over = level + cost - now - self._spec.burst * cost
            self._empty_at[who] = level if over > 1e-9 else level + cost
            while len(self._empty_at) > self._spec.most:
                self._empty_at.popitem(last=False)
        return max(over, 0.0) if over > 1e-9 else 0.0
