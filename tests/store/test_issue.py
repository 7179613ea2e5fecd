from __future__ import annotations

import pytest

from service.access.token import Scope, hash_of, new_secret
from service.errors import InputError, SettingsError
from service.store.issue import admit_setting, issue
from service.store.sql import SqlStore

DAY = 86_400 * 10**9


def scopes_of(database: SqlStore, secret: str, now: int = 10) -> frozenset[Scope]:
    hashed = hash_of(secret)
    assert hashed is not None
    with database.read() as reader:
        token = reader.tokens.found(hashed)
    return token.scopes if token is not None and token.valid_at(now) else frozenset()


def test_a_token_is_issued_once(database: SqlStore) -> None:
    secret = issue(database, "office", [Scope.READ, Scope.INGEST], ["a"], 2, now=5)
    assert scopes_of(database, secret) == {Scope.READ, Scope.INGEST}
    assert scopes_of(database, secret, 5 + 2 * DAY) == frozenset()
    with pytest.raises(InputError, match="there is a token 'office'"):
        issue(database, "office", [Scope.READ], None, None, now=6)
    with pytest.raises(InputError, match="name"):
        issue(database, "the office", [Scope.READ], None, None, now=6)


def test_the_token_of_a_setting_replaces_the_one_before(database: SqlStore) -> None:
    first, second = new_secret(), new_secret()
    for secret in (first, first, second):
        admit_setting(database, secret, 7)
    assert scopes_of(database, first) == frozenset()
    assert scopes_of(database, second) == {Scope.ADMIN}


def test_a_setting_that_is_no_token_is_named(database: SqlStore) -> None:
    with pytest.raises(SettingsError, match="yocho token new"):
        admit_setting(database, "hunter2", 7)
