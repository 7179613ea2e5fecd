"""Alerts of all kinds, as they may come from any sensor: its name is what a stranger may have chosen."""

from __future__ import annotations

import ipaddress

from hypothesis import settings
from hypothesis import strategies as st

from service.alerts.alert import (
    LISTED_SERVICES,
    LISTED_SOURCES,
    LISTED_TARGETS,
    TECHNIQUES,
    Alert,
    Baseline,
    Distinct,
    Evidence,
    Ground,
    Kind,
)
from service.alerts.tools import Tool, ToolName
from service.capture.address import format_address, parse_address
from service.capture.services import ARP_REQUEST, Protocol, format_service, service_code

some = settings(max_examples=40, deadline=None)
"""An alert may be large, and what else the machine does is not the alert's fault."""

LATEST = 2**62
"""ns since the epoch: the year 2116"""
MANY = 2**62
GROUP_GROUNDS = (Ground.SURGE, Ground.NOVELTY, Ground.BREADTH, Ground.PATTERN)
SOURCE_GROUNDS = tuple(ground for ground in Ground if ground not in GROUP_GROUNDS)

nasty = st.sampled_from(
    [
        "=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r\nCEF:0|a|b|c|d|e|10|src=192.0.2.66",
        "a=b c\\=d \\",
        "line one\nline two\u2028three\x85four",
        '"quoted", with, commas',
        "\x00\x1b[31mred\x7f",
        "müßig 東京 🛰",
        " spaces ",
    ]
)
texts = st.one_of(st.text(min_size=1, max_size=60), nasty)
durations = st.one_of(st.just(0), st.just(1), st.integers(0, 10**16))
counts = st.one_of(st.integers(0, 2000), st.integers(0, MANY))
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(
    lambda address: format_address(*parse_address(str(address)))
)
services = st.one_of(
    st.builds(service_code, st.sampled_from([Protocol.TCP, Protocol.UDP]), st.integers(0, 0xFFFF)),
    st.builds(service_code, st.sampled_from([Protocol.ICMP, Protocol.ICMP6]), st.integers(0, 255)),
    st.just(ARP_REQUEST),
).map(format_service)
tools = st.builds(lambda name, pairs, more: Tool(name, pairs, pairs + more), st.sampled_from(ToolName), *[
    st.integers(1, 10**6), st.integers(0, 10**6)
])  # fmt: skip
baselines = st.builds(Baseline, *[st.floats(0, 1e6) for _ in range(4)])


@st.composite
def groups(draw: st.DrawFn, most: int) -> tuple[str, ...]:
    """Draw the sources of a group."""
    count = draw(st.sampled_from([count for count in (2, 3, 40, LISTED_SOURCES) if count <= most]))
    step = draw(st.integers(1, 2**10))
    if draw(st.booleans()):
        start = draw(st.integers(0, 2**32 - 1 - step * count))
        return tuple(str(ipaddress.IPv4Address(start + step * index)) for index in range(count))
    start = draw(st.integers(2**64, 2**127))
    return tuple(str(ipaddress.IPv6Address(start + step * index)) for index in range(count))


@st.composite
def evidences(draw: st.DrawFn, listed_services: int, listed_targets: int) -> Evidence:
    """Draw evidence that knows at least what is listed."""
    pairs = draw(counts)
    return Evidence(
        attempts=draw(counts),
        pairs=pairs,
        answered=draw(st.integers(0, pairs)),
        targets=Distinct(listed_targets + draw(st.integers(0, MANY)), exact=draw(st.booleans()), sample=()),
        services=Distinct(listed_services + draw(st.integers(0, 3)), exact=draw(st.booleans()), sample=()),
        windows=draw(st.integers(1, 10**6)),
        estimated=draw(st.booleans()),
        shed=draw(counts),
    )


@st.composite
def alerts(draw: st.DrawFn, most_sources: int = LISTED_SOURCES) -> Alert:
    """Draw an alert."""
    kind = draw(st.sampled_from(Kind))
    group = kind is Kind.COORDINATED
    sources = draw(groups(most_sources)) if group else (draw(addresses),)
    listed = tuple(draw(st.lists(services, min_size=1, max_size=LISTED_SERVICES, unique=True)))
    targets = tuple(draw(st.lists(addresses, max_size=LISTED_TARGETS, unique=True)))
    threshold = draw(st.floats(0, 1e9))
    first = draw(st.integers(0, LATEST))
    return Alert(
        id=draw(st.text("0123456789abcdef", min_size=1, max_size=20)),
        sensor=draw(texts),
        kind=kind,
        sources=sources,
        services=listed,
        targets_sample=targets,
        first_seen=first,
        last_seen=first + draw(durations),
        ground=draw(st.sampled_from(GROUP_GROUNDS if group else SOURCE_GROUNDS)),
        score=threshold + draw(st.floats(0, 1e9)),
        threshold=threshold,
        technique=draw(st.sampled_from([*sorted(set(TECHNIQUES.values())), "T1110", "T9999.123"])),
        pattern=draw(st.none() | texts),
        reason=draw(texts),
        evidence=draw(evidences(len(listed), len(targets))),
        scale=draw(st.sampled_from([1, 60, 600, 3600, 86400])) * 10**9,
        named_at=draw(st.integers(0, LATEST)),
        named_after=draw(counts),
        counted_until=first,
        updates=draw(st.integers(0, 5)),
        memberships=tuple([0.5] * len(sources)) if group else (),
        tool=draw(st.none() | tools),
        baseline=draw(baselines) if group else None,
        allowed_by=draw(st.none() | texts),
    )
