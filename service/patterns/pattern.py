"""A pattern: services that are tried together, and the sources that do so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from operator import ge
from typing import Any

from service.patterns.forms import Form, named_form

LISTED_SERVICES = 256
LISTED_MEMBERS = 256
SKETCHED_SERVICES = 64
"""Services of a form that is kept beside the present one, to measure drift."""

Shares = tuple[tuple[str, float], ...]


class Status(StrEnum):
    """What is thought of a pattern. All but `NEW` can be said by a person, and then it stays."""

    NEW = "new"
    KNOWN = "known"
    BENIGN = "benign"
    MUTED = "muted"


HUSHED = (Status.BENIGN, Status.MUTED)
"""What a person says of a pattern whose alerts need not be told."""


class State(StrEnum):
    """Whether a pattern is looked for."""

    LIVE = "live"
    RETIRED = "retired"
    """It was not found for long; it comes back under its id if its services do."""
    MERGED = "merged"
    """Another pattern, its successor, has become the same or has taken its services and its members."""


class Event(StrEnum):
    """Why a pattern has a new version."""

    BORN = "born"
    DRIFTED = "drifted"
    """Its services have changed since the version before."""
    SPLIT = "split"
    """Its members went to new patterns of parts of its services."""
    MERGED = "merged"
    RETIRED = "retired"
    RETURNED = "returned"
    JUDGED = "judged"
    """A person has said what it is."""


class _WithForms:
    """Room for what follows from a pattern, worked out when it is first asked for."""

    __slots__ = ("_birth_form", "_form", "_version_form")
    _form: Form
    _birth_form: Form
    _version_form: Form


@dataclass(frozen=True, slots=True)
class Pattern(_WithForms):
    """A row of C with an id that lives across the windows of one sensor and one length.

    Raises ValueError if weights are not positive or not in descending order, or a share is not from 0 to 1.
    """

    id: str
    sensor: str
    name: str
    """The pattern in words, such as ``telnet pair 23/2323``."""
    services: Shares
    """The heaviest services and their share of its weight, heaviest first; at most `LISTED_SERVICES`."""
    service_count: int
    members: Shares
    """Sources that followed it in its latest window and the share of each source's row that it explains,
    largest first; at most `LISTED_MEMBERS`."""
    member_count: int
    first_seen: int
    """Start of the first window in which it was found, ns since the epoch."""
    last_seen: int
    """End of the latest window in which it was found, ns since the epoch."""
    windows: int
    """Number of windows in which it was found."""
    length: int = 60 * 1_000_000_000
    """Of these windows, ns."""
    version: int = 1
    status: Status = Status.NEW
    judged: bool = False
    """A person has said the status."""
    state: State = State.LIVE
    successor: str | None = None
    """Id of the pattern into which it was merged."""
    parents: tuple[str, ...] = ()
    """Ids of the patterns from which it was split, or that were merged into it at its birth."""
    born_in: int = 1
    """Number, among its sensor's windows of this length, of the one that it was first found in."""
    prevalence: float = 1.0
    """Share of the sensor's windows, from its first to its latest, in which it was found."""
    reach: float = 0.0
    """Share of its latest window's sources that followed it."""
    novelty: float = 1.0
    """1 − cosine to the nearest pattern that was known when it was born; 1 if none shared a service."""
    drift: float = 0.0
    """1 − cosine of its services to those at its birth."""
    techniques: tuple[str, ...] = ()
    """MITRE ATT&CK ids for which a window has given evidence, see `service.patterns.techniques`."""
    at_birth: Shares = ()
    """Its services when it was born, at most `SKETCHED_SERVICES`."""
    at_version: Shares = ()
    """Its services when it became this version, at most as many."""
    at_judgement: Shares = ()
    """Its services when a person said its status: what was meant, however it drifts."""

    def __post_init__(self) -> None:
        for field, rows in (("services", self.services), ("members", self.members)):
            weights = [weight for _, weight in rows]
            # Of descending weights the last is the least; what is no number is not at least as large as another.
            descending = all(map(ge, weights, weights[1:]))
            if descending and (not weights or weights[-1] > 0):
                continue
            if any(not weight > 0 for weight in weights):
                raise ValueError(f"{field}: weights must be positive")
            raise ValueError(f"{field}: must be sorted by descending weight")
        if not self.services:
            raise ValueError("services: a pattern has at least one")
        for field in ("at_birth", "at_version"):
            # Most patterns are seen once: then these are one tuple, not three.
            if getattr(self, field) == self.services:
                object.__setattr__(self, field, self.services)
        for field in ("prevalence", "reach", "novelty", "drift"):
            if not 0 <= getattr(self, field) <= 1:
                raise ValueError(f"{field}: {getattr(self, field)} is not from 0 to 1")

    @property
    def hushed(self) -> bool:
        """Whether what it explained when a person judged it need not be told."""
        return self.status in HUSHED

    @property
    def form(self) -> Form:
        """The services as numbers: what patterns are compared by."""
        try:
            return self._form
        except AttributeError:
            return self._keep("_form", named_form(self.services))

    @property
    def birth_form(self) -> Form:
        """The same of `at_birth`."""
        try:
            return self._birth_form
        except AttributeError:
            same = self.at_birth is self.services
            return self._keep("_birth_form", self.form if same else named_form(self.at_birth))

    @property
    def version_form(self) -> Form:
        """The same of `at_version`."""
        try:
            return self._version_form
        except AttributeError:
            same = self.at_version is self.services
            return self._keep("_version_form", self.form if same else named_form(self.at_version))

    def changed(self, form: Form | None = None, sketch: Form | None = None, **details: Any) -> Pattern:
        """Return it with other details; `form` is that of its services then, `sketch` that of `at_version`.

        Forms of what has not changed are kept; raises ValueError as the class does.
        """
        after = replace(self, **details)
        forms = (
            ("_form", form, "services"),
            ("_birth_form", None, "at_birth"),
            ("_version_form", sketch, "at_version"),
        )
        for slot, given, field in forms:
            held = given or (getattr(self, slot, None) if field not in details else None)
            if held is not None:
                object.__setattr__(after, slot, held)
        return after

    def _keep(self, slot: str, form: Form) -> Form:
        object.__setattr__(self, slot, form)
        return form


@dataclass(frozen=True, slots=True)
class PatternVersion:
    """What a pattern was when something happened to it."""

    pattern: str
    """Id."""
    version: int
    """Counts from 1."""
    event: Event
    time: int
    """Start of the window that brought it, or when a person said it; ns since the epoch."""
    status: Status
    name: str
    services: Shares
    """The heaviest, at most `SKETCHED_SERVICES`."""
    member_count: int
    windows: int
    others: tuple[str, ...] = ()
    """Ids of the patterns that took part: those that it was split into, merged into or came from."""
