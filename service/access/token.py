"""Tokens: who holds one may do what it says."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum

PREFIX = "yo_"
"""How every token begins, so that scanners for leaked secrets find it."""

_FORM = re.compile(r"yo_[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class Scope(StrEnum):
    """What a token is for."""

    INGEST = "ingest"
    """Hand traffic over, and see what became of it."""
    READ = "read"
    """See everything."""
    ADMIN = "admin"
    """Do everything."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; the token itself is known to its holder alone.

    Raises ValueError for a name that is none, or no scope.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    created: int
    """ns since the epoch, as the others."""
    sensors: frozenset[str] | None = None
    """Sensors that it may send windows of; None: any."""
    expires: int | None = None
    revoked: int | None = None
    used: int | None = None
    """When it was used last, to the minute."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name: {self.name!r} is not made of up to 63 letters, digits, '.', '_' and '-'")
        if not self.scopes:
            raise ValueError(f"scopes: a token without one is good for nothing; give {', '.join(Scope)}")

    def allows(self, scope: Scope) -> bool:
        """Whether it is good for a scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def valid_at(self, now: int) -> bool:
        """Whether it is good for anything at a time, ns since the epoch."""
        return self.revoked is None and (self.expires is None or now < self.expires)


def new_secret() -> str:
    """Return a token that nobody has had: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def new_id() -> str:
    """Return an id for a token."""
    return "t" + secrets.token_hex(8)


def hash_of(secret: str) -> bytes | None:
    """Return the hash that is kept of a token; None for text that is none.

    SHA-256 without salt: 256 random bits can't be guessed, however quickly the guesses are hashed.
    """
    return hashlib.sha256(secret.encode()).digest() if _FORM.fullmatch(secret) else None
