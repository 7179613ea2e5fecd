"""What a pattern is, in words."""

from __future__ import annotations

from service.patterns.words import WORDS, worded

_FEW = 4
_FAMILY = 6
"""Services of one word that are listed one by one."""
_MAIN = 0.05
_ALL = 0.995
"""From this share on, the rest is not worth a word."""


def pattern_name(services: tuple[tuple[str, float], ...], count: int) -> str:
    """Name a pattern by its main services, heaviest first; `count` counts those that are not listed too.

    ``telnet pair 23/2323``, ``web 80/443/8080, 81% of weight``, ``SQL Server tcp/1433 60% + MySQL tcp/3306 40%``.
    Many services of like weight are summed up: ``1000 tcp services between 1 and 65389``.
    """
    total = sum(weight for _, weight in services)
    main = [(name, weight) for name, weight in services if weight >= _MAIN * total]
    held = sum(weight for _, weight in main) / total
    if count == 1:
        return worded(services[0][0])
    words = {WORDS.get(name) for name, _ in main}
    if len(main) <= _FAMILY and len(words) == 1 and None not in words and held >= 0.5:
        return _family(WORDS[main[0][0]], [name for name, _ in main], held)
    if main and (count <= _FEW or held >= 0.8):
        named = " + ".join(f"{worded(name)} {weight / total:.0%}" for name, weight in main[:_FEW])
        others = count - min(len(main), _FEW)
        return f"{named} and {others} more" if others else named
    return _many(services, count)


def _family(word: str, names: list[str], held: float) -> str:
    """Name services that have one word: by their ports alone if these are of one protocol."""
    protocols = {name.partition("/")[0] for name in names}
    short = [name.partition("/")[2] for name in names] if len(protocols) == 1 and len(names) > 1 else names
    pair = "pair " if len(names) == 2 else ""
    share = "" if held >= _ALL else f", {held:.0%} of weight"
    return f"{word} {pair}{'/'.join(short) if len(protocols) == 1 else ' '.join(short)}{share}"


def _many(services: tuple[tuple[str, float], ...], count: int) -> str:
    weights: dict[str, float] = {}
    for name, weight in services:
        protocol = name.partition("/")[0]
        weights[protocol] = weights.get(protocol, 0.0) + weight
    total = sum(weights.values())
    protocols = sorted(protocol for protocol, weight in weights.items() if weight >= _MAIN * total)
    ports = [int(port) for port in (name.partition("/")[2] for name, _ in services) if port.isdigit()]
    span = f" between {min(ports)} and {max(ports)}" if len(ports) > 1 and count == len(services) else ""
    return f"{count} {' and '.join(protocols)} services{span}"
