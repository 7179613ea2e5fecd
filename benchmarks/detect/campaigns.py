"""Campaigns: who tries what where and when, drawn by a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from service.capture.services import Protocol, service_code

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

MINUTE = 60 * 1_000_000_000
BURST = 5 * MINUTE
BURSTS = 3
SOURCE_TARGETS = 4
"""Of each source: from five of a honeypot's targets on the service names it by itself."""
LIST, SHORT_LIST = 12, 6
STRAYS = 0.2
"""Share of the attempts of a blurred list that go elsewhere."""
MIXTURE_ATTEMPTS = 20
POPULAR, USUAL = 20, 40
"""Services that mixtures are of, and that strays go to: those with most sources on calibration days."""

KINDS = ("445", "23", "rare", "pair", "rare list", "usual list", "blurred list")


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is injected."""

    kind: str
    """One of `KINDS`, or ``mixture``."""
    sources: int
    attempts: int
    """Of each source, in all."""
    bursts: bool
    """In bursts of five minutes that all sources share, or evenly over the span."""
    services: int = 0
    """Of a mixture."""
    blur: float = 0.0
    """Share of a mixture's attempts that go to any usual service."""


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Where campaigns take place."""

    start: int
    """ns since the epoch"""
    span: int
    """ns"""
    moments: Ints
    """When bursts may begin."""
    targets: NDArray[np.uint32]
    usual: Ints
    """The usual services, those with most sources first."""
    seen: Ints
    """All services of the background."""


@dataclass(frozen=True, slots=True, eq=False)
class Attempts:
    """All attempts of a campaign, unanswered; of shape (n,)."""

    time: Ints
    source: Ints
    """0 … sources − 1"""
    target: NDArray[np.uint32]
    service: Ints


def draw(campaign: Campaign, ground: Ground, chance: np.random.Generator) -> Attempts:
    """Return the attempts of a campaign."""
    n = campaign.sources * campaign.attempts
    if campaign.bursts:
        moments = chance.choice(ground.moments, min(BURSTS, len(ground.moments), campaign.attempts), replace=False)
        time = chance.choice(moments, n) + chance.integers(0, BURST, n)
    else:
        time = ground.start + chance.integers(0, ground.span, n)
    return Attempts(
        time=time,
        source=np.repeat(np.arange(campaign.sources), campaign.attempts),
        target=_targets(campaign, ground, chance).ravel(),
        service=_services(campaign, ground, chance).ravel(),
    )


def _targets(campaign: Campaign, ground: Ground, chance: np.random.Generator) -> NDArray[np.uint32]:
    """Return the targets of each source's attempts, shape (sources, attempts)."""
    places = chance.random((campaign.sources, len(ground.targets))).argsort(axis=1)[:, :SOURCE_TARGETS]
    drawn = chance.integers(0, places.shape[1], (campaign.sources, campaign.attempts))
    return np.asarray(ground.targets[np.take_along_axis(places, drawn, axis=1)])


def _services(campaign: Campaign, ground: Ground, chance: np.random.Generator) -> Ints:
    """Return the services that each source tries, shape (sources, attempts)."""
    shape = campaign.sources, campaign.attempts
    if campaign.kind in ("445", "23"):
        return np.full(shape, service_code(Protocol.TCP, int(campaign.kind)))
    if campaign.kind == "rare":
        return np.full(shape, _rare(ground, 1, chance)[0])
    if campaign.kind == "pair":
        return chance.choice([service_code(Protocol.TCP, port) for port in (23, 2323)], shape)
    if campaign.kind in ("rare list", "usual list"):
        rare = campaign.kind == "rare list"
        listed = _rare(ground, LIST, chance) if rare else chance.choice(ground.usual[:USUAL], LIST, replace=False)
        # Each source goes through the list in an order of its own.
        orders = chance.random((campaign.sources, LIST)).argsort(axis=1)
        return np.asarray(listed[orders[:, np.arange(campaign.attempts) % LIST]])
    if campaign.kind == "blurred list":
        return _blurred(
            chance.choice(ground.usual[:POPULAR], SHORT_LIST, replace=False), shape, STRAYS, ground, chance
        )
    mixed = chance.choice(ground.usual[:POPULAR], campaign.services, replace=False)
    return _blurred(mixed, shape, campaign.blur, ground, chance)


def _blurred(
    listed: Ints, shape: tuple[int, int], share: float, ground: Ground, chance: np.random.Generator
) -> Ints:
    astray = chance.random(shape) < share
    return np.where(astray, chance.choice(ground.usual[:USUAL], shape), chance.choice(listed, shape))


def _rare(ground: Ground, count: int, chance: np.random.Generator) -> Ints:
    ports = chance.permutation(np.arange(1024, 65536))
    services = ports[~np.isin(service_code(Protocol.TCP, 0) + ports, ground.seen)]
    return np.asarray(services[:count] + service_code(Protocol.TCP, 0))
