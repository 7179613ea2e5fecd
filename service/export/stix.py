"""Alerts as a STIX 2.1 bundle (OASIS Standard, 10 June 2021).

An alert is an indicator that names its sources, observed data with the addresses and traffic, a sighting of the
indicator by the sensor, the ATT&CK technique that it indicates, and a note with the reason. Ids are UUIDs of
version 5: the same alert has the same ids in each bundle, and as it grows they stay and ``modified`` moves on. Only
this module imports stix2, and it takes a while: import it where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from stix2 import v21  # type: ignore[import-untyped]

from service.alerts.reason import who
from service.export.attack import Entry, Technique, technique_of
from service.export.document import format_time
from service.export.severity import confidence_of
from service.export.traffic import ip_version, protocols, scan_name, traffic_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from service.alerts.alert import Alert

_NAMESPACE = UUID("8f3c1d8e-6f0b-5a6e-9d2c-0d9a4c1f7b52")
"""Of all of our ids but those of addresses and traffic, which STIX gives a namespace of its own."""
_EPOCH = "2026-01-01T00:00:00.000Z"
"""When things were made that are the same for ever: one id can't have two times."""
_MOST = 999_999_999
"""The largest count that STIX takes."""
_PROTOCOLS = {"icmp6": "icmp"}
"""IANA's list of services, whose names STIX wants, has no other for it; ipv6 stands before it."""


def stix_bundle(alerts: Iterable[Alert]) -> str:
    """Return the bundle of some alerts as JSON; an object that several of them share is in it once."""
    objects: dict[str, Any] = {}
    for alert in alerts:
        for each in _objects(alert):
            objects.setdefault(each.id, each)
    if not objects:
        objects = {each.id: each for each in [_product()]}
    bundle = v21.Bundle(objects=list(objects.values()), id=_id("bundle", *sorted(objects)))
    return str(bundle.serialize())


def _objects(alert: Alert) -> Iterator[Any]:
    product, sensor = _product(), _sensor(alert.sensor)
    seen = list(_observables(alert))
    technique = _technique(technique_of(alert.technique), product)
    common = {"created_by_ref": product.id, "created": format_time(alert.named_at), "modified": _modified(alert)}
    indicator, observed = _indicator(alert, common), _observed(alert, seen, common)
    yield from (product, sensor, technique, *seen, indicator, observed)
    yield _sighting(alert, indicator, observed, sensor, common)
    for what, target in (("indicates", technique), ("based-on", observed)):
        yield v21.Relationship(
            id=_id("relationship", alert.id, what),
            source_ref=indicator.id,
            relationship_type=what,
            target_ref=target.id,
            **common,
        )
    yield v21.Note(
        id=_id("note", alert.id),
        abstract=scan_name(alert),
        content=alert.reason or scan_name(alert),
        object_refs=[indicator.id, observed.id],
        **common,
    )


def _id(kind: str, *names: str) -> str:
    return f"{kind}--{uuid5(_NAMESPACE, chr(0).join((kind, *names)))}"


def _modified(alert: Alert) -> str:
    return format_time(max(alert.named_at, alert.last_seen))


def _product() -> Any:
    return v21.Identity(
        id=_id("identity", "Yocho"), created=_EPOCH, modified=_EPOCH, name="Yocho", identity_class="system"
    )


def _sensor(name: str) -> Any:
    return v21.Identity(
        id=_id("identity", "sensor", name),
        created=_EPOCH,
        modified=_EPOCH,
        name=name,
        description="A sensor of Yocho",
        identity_class="system",
    )


def _technique(technique: Technique, product: Any) -> Any:
    meant = technique.narrowest
    phases = [_phase(technique.tactic)] if technique.tactic else None
    return v21.AttackPattern(
        id=_id("attack-pattern", meant.id),
        created_by_ref=product.id,
        created=_EPOCH,
        modified=_EPOCH,
        name=technique.title,
        kill_chain_phases=phases,
        external_references=[{"source_name": "mitre-attack", "external_id": meant.id, "url": meant.url}],
    )


def _phase(tactic: Entry) -> dict[str, str]:
    return {"kill_chain_name": "mitre-attack", "phase_name": tactic.name.lower().replace(" ", "-")}


def _observables(alert: Alert) -> Iterator[Any]:
    """Yield the addresses, and of a single source the traffic to its targets, as far as they are listed."""
    sources = [_address(source) for source in alert.sources]
    yield from sources
    if len(sources) > 1:
        return
    for target in alert.targets_sample or (None,):
        end = None
        if target is not None:
            end = _address(target)
            yield end
        yield _traffic(alert, sources[0], end)


def _address(text: str) -> Any:
    return (v21.IPv6Address if ip_version(text) == 6 else v21.IPv4Address)(value=text)


def _traffic(alert: Alert, source: Any, target: Any) -> Any:
    names = [_PROTOCOLS.get(name, name) for name in protocols(alert)]
    below = [f"ipv{ip_version(source.value)}"] if names != ["arp"] else []
    return v21.NetworkTraffic(
        start=format_time(alert.first_seen),
        end=format_time(alert.last_seen),
        is_active=False,
        src_ref=source.id,
        dst_ref=target.id if target else None,
        dst_port=traffic_of(alert).port,
        protocols=list(dict.fromkeys(below + names)),
    )


def _indicator(alert: Alert, common: dict[str, str]) -> Any:
    technique = technique_of(alert.technique)
    return v21.Indicator(
        id=_id("indicator", alert.id),
        name=f"{scan_name(alert)} by {who(alert)}",
        description=alert.reason or None,
        indicator_types=["benign" if alert.allowed_by is not None else "anomalous-activity"],
        pattern=_pattern(alert),
        pattern_type="stix",
        valid_from=format_time(alert.first_seen),
        valid_until=format_time(alert.open_until),
        kill_chain_phases=[_phase(technique.tactic)] if technique.tactic else None,
        confidence=confidence_of(alert),
        external_references=[{"source_name": "yocho", "external_id": alert.id}],
        **common,
    )


def _pattern(alert: Alert) -> str:
    """Return the pattern that the address of each source matches."""
    sets = []
    for version in (4, 6):
        members = [f"'{source}'" for source in alert.sources if ip_version(source) == version]
        if members:
            sets.append(f"ipv{version}-addr:value IN ({', '.join(members)})")
    return f"[{' OR '.join(sets)}]"


def _observed(alert: Alert, seen: list[Any], common: dict[str, str]) -> Any:
    return v21.ObservedData(
        id=_id("observed-data", alert.id),
        first_observed=format_time(alert.first_seen),
        last_observed=format_time(alert.last_seen),
        number_observed=max(1, min(alert.evidence.attempts, _MOST)),
        object_refs=list(dict.fromkeys(each.id for each in seen)),
        **common,
    )


def _sighting(alert: Alert, indicator: Any, observed: Any, sensor: Any, common: dict[str, str]) -> Any:
    return v21.Sighting(
        id=_id("sighting", alert.id),
        sighting_of_ref=indicator.id,
        observed_data_refs=[observed.id],
        where_sighted_refs=[sensor.id],
        first_seen=format_time(alert.first_seen),
        last_seen=format_time(alert.last_seen),
        count=min(alert.evidence.attempts, _MOST),
        **common,
    )
