from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.token import Scope, Token, hash_of, new_id, new_secret

A_TOKEN = Token("t1", "office", frozenset({Scope.READ}), created=100)


def test_a_new_token_has_a_hash_and_is_new() -> None:
    first, second = new_secret(), new_secret()
    assert first != second
    assert hash_of(first) == hashlib.sha256(first.encode()).digest()
    assert new_id() != new_id()


@given(st.text(max_size=60))
def test_other_text_is_no_token(text: str) -> None:
    assert hash_of(text) is None


@pytest.mark.parametrize("change", [str.upper, lambda text: text + "a", lambda text: text[:-1], lambda t: t + "\n"])
def test_what_is_nearly_a_token_is_none(change: object) -> None:
    assert callable(change)
    assert hash_of(change("yo_" + "a" * 43)) is None


def test_admin_may_do_everything_and_others_what_they_are_for() -> None:
    admin = replace(A_TOKEN, scopes=frozenset({Scope.ADMIN}))
    assert all(admin.allows(scope) for scope in Scope)
    assert [scope for scope in Scope if A_TOKEN.allows(scope)] == [Scope.READ]


def test_a_token_ends() -> None:
    assert A_TOKEN.valid_at(10**18)
    assert not replace(A_TOKEN, revoked=5).valid_at(4)
    lasting = replace(A_TOKEN, expires=200)
    assert (lasting.valid_at(199), lasting.valid_at(200)) == (True, False)


@pytest.mark.parametrize("name", ["", "a b", "é", "-x", "x" * 64, "a\n"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        replace(A_TOKEN, name=name)


def test_a_token_without_scope_is_refused() -> None:
    with pytest.raises(ValueError, match="ingest, read, admin"):
        replace(A_TOKEN, scopes=frozenset())
