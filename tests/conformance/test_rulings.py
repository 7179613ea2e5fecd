"""What the facets of settings and of allow-rules promise, held against every database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.errors import InputError, NotFoundError, StoreError
from service.store import allow_rules
from service.store.allow_rules import KeptRule, rule_id
from service.store.repository import Tuning
from service.store.settings import FALSE_ALARMS, Setting

if TYPE_CHECKING:
    from service.store.sql import SqlStore


def test_nothing_is_changed_at_first(database: SqlStore) -> None:
    with database.read() as unit:
        assert unit.settings.all() == {}
        assert list(unit.allow_rules.all()) == []
        assert unit.tuning() == Tuning()


def test_a_setting_is_replaced_and_reset(database: SqlStore) -> None:
    first, second = Setting(FALSE_ALARMS, 3.5, 1, "ann"), Setting(FALSE_ALARMS, 0, 2, "bob")
    with database.begin() as unit:
        unit.settings.put(first)
        assert unit.settings.all() == {FALSE_ALARMS: first}
        unit.settings.put(second)
    with database.begin() as unit:
        assert unit.settings.all() == {FALSE_ALARMS: second}
        assert unit.tuning() == Tuning(false_alarms=0.0)
        unit.settings.reset(FALSE_ALARMS)
        unit.settings.reset(FALSE_ALARMS)
        assert unit.tuning() == Tuning()


@pytest.mark.parametrize("value", ["3", True, [1]])
def test_a_setting_that_is_no_number_is_named(database: SqlStore, value: object) -> None:
    with database.begin() as unit:
        unit.settings.put(Setting(FALSE_ALARMS, value, 1, "ann"))
        with pytest.raises(StoreError, match=r"false_alarms.*no number"):
            unit.tuning()


def test_rules_are_added_once_and_removed(database: SqlStore) -> None:
    first, second = KeptRule("192.0.2.7", "our scanner", 1, "ann"), KeptRule("udp/161", "", 2, "bob")
    with database.begin() as unit:
        assert unit.allow_rules.add(first)
        assert unit.allow_rules.add(second)
        assert not unit.allow_rules.add(KeptRule("192.0.2.7", "other words", 3, "bob"))
    with database.begin() as unit:
        assert list(unit.allow_rules.all()) == [first, second]
        assert unit.tuning() == Tuning(allow_rules=("192.0.2.7", "udp/161"))
        unit.allow_rules.remove(rule_id("192.0.2.7"))
        with pytest.raises(NotFoundError, match="GET /v1/allow-rules"):
            unit.allow_rules.remove(rule_id("192.0.2.7"))
        assert list(unit.allow_rules.all()) == [second]


def test_rules_are_bounded(database: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allow_rules, "MOST_RULES", 1)
    with database.begin() as unit:
        unit.allow_rules.add(KeptRule("192.0.2.7", "", 1, "ann"))
        assert not unit.allow_rules.add(KeptRule("192.0.2.7", "", 1, "ann"))
        with pytest.raises(InputError, match="1 rules already"):
            unit.allow_rules.add(KeptRule("192.0.2.8", "", 1, "ann"))
