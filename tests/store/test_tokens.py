from __future__ import annotations

import pytest

from service.access.token import Scope, Token
from service.errors import InputError, NotFoundError
from service.store.audit import AuditQuery, Change
from service.store.sql import SqlStore
from service.store.tokens import MINUTE

HASH = bytes(32)


def a_token(name: str = "office", **details: object) -> Token:
    fields: dict[str, object] = {"id": f"t-{name}", "scopes": frozenset({Scope.INGEST}), "created": 5} | details
    return Token(name=name, **fields)  # type: ignore[arg-type]


def test_a_token_is_found_by_its_hash(database: SqlStore) -> None:
    token = a_token(sensors=frozenset({"a", "b"}), expires=99, scopes=frozenset(Scope))
    with database.begin() as unit:
        unit.tokens.add(token, HASH)
    with database.read() as reader:
        assert reader.tokens.found(HASH) == token
        assert reader.tokens.found(b"\1" * 32) is None
        assert reader.tokens.named("office") == token
        assert reader.tokens.all() == [token]


def test_a_name_is_taken_until_it_is_revoked(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.tokens.add(a_token(), HASH)
        with pytest.raises(InputError, match="there is a token 'office'"):
            unit.tokens.add(a_token(id="t2"), b"\1" * 32)
        assert unit.tokens.revoke("office", 7).id == "t-office"
        with pytest.raises(NotFoundError, match="yocho token list"):
            unit.tokens.revoke("office", 8)
        unit.tokens.add(a_token(id="t2"), b"\1" * 32)
    with database.read() as reader:
        old = reader.tokens.found(HASH)
        assert old is not None
        assert (old.name, old.revoked, old.valid_at(6)) == ("office", 7, False)
        assert [token.id for token in reader.tokens.all()] == ["t-office", "t2"]


@pytest.mark.parametrize(("now", "any_valid"), [(10, True), (20, False)])
def test_whether_any_is_valid_depends_on_time(database: SqlStore, now: int, *, any_valid: bool) -> None:
    with database.begin() as unit:
        assert not unit.tokens.any_valid(now)
        unit.tokens.add(a_token(expires=20), HASH)
        assert unit.tokens.any_valid(now) == any_valid
        unit.tokens.revoke("office", 5)
        assert not unit.tokens.any_valid(now)


def test_use_is_noted_by_the_minute(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.tokens.add(a_token(), HASH)
        for now, used in ((MINUTE, MINUTE), (MINUTE + 1, MINUTE), (2 * MINUTE, 2 * MINUTE)):
            token = unit.tokens.found(HASH)
            assert token is not None
            unit.tokens.touch(token, now)
            touched = unit.tokens.found(HASH)
            assert touched is not None
            assert touched.used == used


def test_changes_are_listed_latest_first_and_forgotten_oldest_first(database: SqlStore) -> None:
    changes = [Change(at, "office", f"r{at}", "PATCH", "/v1/patterns/p1", 200) for at in range(5)]
    with database.begin() as unit:
        for change in changes:
            unit.audit.add(change)
    with database.read() as reader:
        latest, following = reader.audit.page(AuditQuery(2))
        assert [change.request for change in latest] == ["r4", "r3"]
        rest, end = reader.audit.page(AuditQuery(9, following))
        assert ([change.at for change in rest], end) == ([2, 1, 0], None)
        with pytest.raises(NotFoundError, match="cursor"):
            reader.audit.page(AuditQuery(9, "nonsense"))
    with database.begin() as unit:
        assert unit.audit.forget(3, 2) == 2
        assert unit.audit.forget(3, 2) == 1
        assert [change.at for change in unit.audit.page(AuditQuery())[0]] == [4, 3]


@pytest.mark.parametrize(
    ("wanted", "times"),
    [
        (AuditQuery(actor="office"), [4, 2, 0]),
        (AuditQuery(action="DELETE"), [3, 0]),
        (AuditQuery(since=1, until=3), [2, 1]),
        (AuditQuery(actor="office", action="DELETE", since=1), []),
        (AuditQuery(actor="nobody"), []),
    ],
)
def test_changes_are_found_by_who_how_and_when(database: SqlStore, wanted: AuditQuery, times: list[int]) -> None:
    with database.begin() as unit:
        for at in range(5):
            actor, action = ("home", "office")[at % 2 == 0], ("PATCH", "DELETE")[at % 3 == 0]
            unit.audit.add(Change(at, actor, f"r{at}", action, "/v1/allow-rules/r1", 204))
        assert [change.at for change in unit.audit.page(wanted)[0]] == times
