"""What a conversation with the service consists of, whoever carries it out: a thread that waits, or an event loop.

An operation is a generator that yields steps and is sent what came of them. It opens no connection, and sleeps
never.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

Result = TypeVar("Result")

Body: TypeAlias = bytes | Path
"""What is sent: bytes, or a file that is streamed."""


@dataclass(frozen=True, slots=True)
class Call:
    """Send a request, and read its answer to the end."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    repeatable: bool = True
    """Whether it may be sent again when nobody knows whether it arrived."""


@dataclass(frozen=True, slots=True)
class Open:
    """Send a request whose answer has no end; its lines come by `NextLine`. An earlier one is closed."""

    call: Call


@dataclass(frozen=True, slots=True)
class NextLine:
    """Wait for a line of the answer that was opened."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Tell:
    """Hand something to the caller, and go on when it asks for more."""

    event: Event


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an alert."""

    id: int
    kind: str
    """``opened``, ``grew``, ``ended``, …"""
    alert: Mapping[str, object]
    """The alert's document at that time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered; of an `Open` without content."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer came."""

    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the answer that was opened; None at its end."""

    text: str | None


Step: TypeAlias = Call | Open | NextLine | Pause | Tell
Outcome: TypeAlias = Answer | Failure | Line | None
Plan: TypeAlias = Generator[Call, Answer, Result]
"""An operation: each call gets an answer that is no failure."""
Steps: TypeAlias = Generator[Step, Outcome, Result]
"""The same with all that may go wrong."""
