"""What a pattern is, in words."""

from __future__ import annotations

_FEW = 4
_MAIN = 0.05


def pattern_name(services: tuple[tuple[str, float], ...], count: int) -> str:
    """Name a pattern by its main services, heaviest first: ``tcp/23 80 % + tcp/2323 20 %``.

    Many services of like weight are summed up: ``1000 tcp services from 1 to 65389``.
    """
    main = [(name, weight) for name, weight in services if weight >= _MAIN]
    if count == 1:
        return services[0][0]
    if main and (count <= _FEW or sum(weight for _, weight in main) >= 0.8):
        words = " + ".join(f"{name} {weight:.0%}" for name, weight in main[:_FEW])
        others = count - min(len(main), _FEW)
        return f"{words} and {others} more" if others else words
    return _many(services, count)


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
