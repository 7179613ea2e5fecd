"""What goes into a row's document column and comes out of it: JSON, so that nothing is unpickled."""

from __future__ import annotations

from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from service.alerts.alert import Alert
from service.errors import StoreError
from service.patterns.pattern import Pattern, PatternVersion

_ALERT = TypeAdapter(Alert)
_PATTERN = TypeAdapter(Pattern)
_VERSION = TypeAdapter(PatternVersion)


def write_alert(alert: Alert) -> str:
    """Return the document of an alert."""
    return _ALERT.dump_json(alert).decode()


def read_alert(document: str) -> Alert:
    """Return the alert of a document; raises StoreError if it holds none."""
    return _validated(_ALERT, document)


def write_pattern(pattern: Pattern) -> str:
    """Return the document of a pattern."""
    return _PATTERN.dump_json(pattern).decode()


def read_pattern(document: str) -> Pattern:
    """Return the pattern of a document; raises StoreError if it holds none."""
    return _validated(_PATTERN, document)


def write_version(version: PatternVersion) -> str:
    """Return the document of a pattern's version."""
    return _VERSION.dump_json(version).decode()


def read_version(document: str) -> PatternVersion:
    """Return the version of a document; raises StoreError if it holds none."""
    return _validated(_VERSION, document)


Value = TypeVar("Value", Alert, Pattern, PatternVersion)


def _validated(adapter: TypeAdapter[Value], document: str) -> Value:
    try:
        return adapter.validate_json(document)
    except ValidationError as error:
        raise StoreError(f"a stored document is damaged ({error}); restore a backup") from error
