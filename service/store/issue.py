"""New tokens, and the one that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.access.token import Scope, Token, hash_of, new_id, new_secret
from service.errors import InputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from service.store.sql import SqlStore

_DAY = 86_400 * 10**9
_SETTING = "admin-setting"
"""Name of the token that a setting holds."""


def issue(
    store: SqlStore, name: str, scopes: Sequence[Scope], sensors: Sequence[str] | None, days: int | None, now: int
) -> str:
    """Keep a new token from `now`, ns since the epoch, on, and return it.

    Raises InputError for a name that is none, or taken.
    """
    secret = new_secret()
    expires = None if days is None else now + days * _DAY
    try:
        named = None if sensors is None else frozenset(sensors)
        token = Token(new_id(), name, frozenset(scopes), now, named, expires)
    except ValueError as error:
        raise InputError("token", str(error)) from None
    _keep(store, token, secret)
    return secret


def admit_setting(store: SqlStore, secret: str, now: int) -> None:
    """Let the token of a setting do everything, and the one that it held before nothing.

    Raises SettingsError for text that is no token.
    """
    hashed = hash_of(secret)
    if hashed is None:
        raise SettingsError("YOCHO_ADMIN_TOKEN: is no token; `yocho token new` makes one")
    with store.begin() as unit:
        held = unit.tokens.named(_SETTING)
        if held is not None and unit.tokens.found(hashed) == held:
            return
        if held is not None:
            unit.tokens.revoke(_SETTING, now)
        unit.tokens.add(Token(new_id(), _SETTING, frozenset({Scope.ADMIN}), now), hashed)


def _keep(store: SqlStore, token: Token, secret: str) -> None:
    hashed = hash_of(secret)
    assert hashed is not None  # noqa: S101  (a new token is one)
    with store.begin() as unit:
        unit.tokens.add(token, hashed)
