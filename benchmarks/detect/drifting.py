"""Windows of made-up campaigns that drift, are born and die, whose members come and go; all from one seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.windows.posted import PostedRow, posted_window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from service.windows.counts import WindowCounts

SECOND = 1_000_000_000
START = 1_700_000_000 // 3600 * 3600 * SECOND


@dataclass(frozen=True, slots=True)
class DriftSpec:
    """What the campaigns are like."""

    windows: int = 30
    campaigns: int = 40
    services: int = 120
    """Of which campaigns choose theirs, the first ones more often: their sets overlap."""
    most_services: int = 8
    sources: int = 15
    """Members of a campaign in a window, on average; a Poisson number."""
    attempts: int = 20
    """Of a member in a window, on average; a Poisson number, and one at least."""
    churn: float = 0.5
    """Share of the members that are others in the next window."""
    drift: float = 0.1
    """Standard deviation of the logarithm by which each service's weight changes from window to window."""
    swap: float = 0.02
    """Chance that in a window one service of a campaign that has four at least is replaced by another, for good."""
    apart: float = 0.7
    """Cosine of the services that no two campaigns exceed at the beginning: beyond it nobody could tell them apart
    by what they try."""
    asleep: float = 0.1
    """Chance that a campaign rests in a window."""
    born_late: float = 0.25
    """Share of the campaigns that begin after the first window, ..."""
    end_early: float = 0.25
    """... and that end before the last."""
    noise: int = 150
    """Sources in a window that try one to three services of their own choice."""


@dataclass(frozen=True, slots=True, eq=False)
class DriftWindow:
    """A window and the truth of it."""

    counts: WindowCounts
    members: dict[int, list[str]]
    """Campaign → its sources, as `format_address` writes them."""
    weights: dict[int, dict[str, float]]
    """Campaign → the share of its attempts that each of its services has at this time."""


class _Campaign:
    def __init__(
        self, number: int, spec: DriftSpec, chance: np.random.Generator, popular: NDArray[np.float64]
    ) -> None:
        self._spec, self._chance, self._popular = spec, chance, popular
        self._number, self._made = number, 0
        size = int(chance.integers(1, spec.most_services + 1))
        self.services: list[int] = chance.choice(spec.services, size, replace=False, p=popular).tolist()
        self.weights = chance.dirichlet(np.full(size, 3.0))
        late, early = chance.random(2) < (spec.born_late, spec.end_early)
        self.first = int(chance.integers(1, spec.windows // 2)) if late else 0
        self.last = int(chance.integers(spec.windows // 2, spec.windows - 1)) if early else spec.windows - 1
        self.members: list[str] = []

    def step(self) -> None:
        """Go on to the next window."""
        spec, chance = self._spec, self._chance
        self.weights = self.weights * np.exp(spec.drift * chance.standard_normal(len(self.weights)))
        self.weights /= self.weights.sum()
        if chance.random() < spec.swap and len(self.services) >= 4:
            new = int(chance.choice(spec.services, p=self._popular))
            if new not in self.services:
                self.services[int(chance.integers(len(self.services)))] = new
        stay = [member for member in self.members if chance.random() >= spec.churn]
        while len(stay) < max(int(chance.poisson(spec.sources)), 1):
            self._made += 1
            stay.append(f"10.{self._number + 1}.{self._made >> 8 & 255}.{self._made & 255}")
        self.members = stay

    def direction(self) -> NDArray[np.float64]:
        """Return its weights as a unit vector over all services."""
        row = np.zeros(self._spec.services)
        row[self.services] = self.weights
        return np.asarray(row / np.linalg.norm(row))

    def rows(self) -> list[PostedRow]:
        """Return what its members try in a window."""
        rows = []
        for member in self.members:
            counts = self._chance.multinomial(max(int(self._chance.poisson(self._spec.attempts)), 1), self.weights)
            rows += [_row(member, code, int(n)) for code, n in zip(self.services, counts, strict=True) if n]
        return rows


def drifting_windows(seed: int, spec: DriftSpec) -> list[DriftWindow]:
    """Return the windows of one hour each; equal seeds give equal windows."""
    chance = np.random.default_rng(seed)
    popular = 1 / np.arange(1, spec.services + 1) ** 0.5
    popular /= popular.sum()
    campaigns: list[_Campaign] = []
    while len(campaigns) < spec.campaigns:
        drawn = _Campaign(len(campaigns), spec, chance, popular)
        if all(drawn.direction() @ other.direction() <= spec.apart for other in campaigns):
            campaigns.append(drawn)
    found = []
    for number in range(spec.windows):
        for campaign in campaigns:
            campaign.step()
        awake = [
            k
            for k, campaign in enumerate(campaigns)
            if campaign.first <= number <= campaign.last and chance.random() >= spec.asleep
        ]
        rows = [row for k in awake for row in campaigns[k].rows()] + _noise(spec, chance, number)
        start = START + number * 3600 * SECOND
        found.append(
            DriftWindow(
                posted_window("drifting", start, start + 3600 * SECOND, rows),
                {k: list(campaigns[k].members) for k in awake},
                {k: _shares(campaigns[k]) for k in awake},
            )
        )
    return found


def _shares(campaign: _Campaign) -> dict[str, float]:
    return {f"tcp/{code + 1}": float(w) for code, w in zip(campaign.services, campaign.weights, strict=True)}


def _noise(spec: DriftSpec, chance: np.random.Generator, number: int) -> list[PostedRow]:
    rows = []
    for i in range(spec.noise):
        source = f"172.{16 + number % 16}.{number // 16 * 8 + i // 200}.{i % 200 + 1}"
        codes = chance.choice(4 * spec.services, int(chance.integers(1, 4)), replace=False)
        rows += [_row(source, code, int(chance.integers(1, 6))) for code in codes.tolist()]
    return rows


def _row(source: str, code: int, attempts: int) -> PostedRow:
    return PostedRow(source, f"tcp/{code + 1}", attempts, attempts, 0)
