"""What `service.store.desk` promises, held against every database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service.errors import InputError, NotFoundError
from service.store import desk
from service.store.desk import Progress, Said
from service.store.repository import AlertQuery
from tests.builders import MINUTE, START, a_record, an_alert

if TYPE_CHECKING:
    from service.store.sql import SqlStore

NOW = START + 1000 * MINUTE


@pytest.fixture(autouse=True)
def _stored(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.save_alerts([an_alert(id=f"a{number}") for number in range(4)])


def said(database: SqlStore, alert_id: str = "a1") -> Said:
    with database.read() as unit:
        filed = unit.desk.alert(alert_id)
    assert filed is not None
    return filed.said


def kinds(database: SqlStore) -> list[str]:
    with database.read() as unit:
        return [event.kind.value for event in unit.events.after(0, 100)][4:]


def test_of_an_alert_nothing_is_said_at_first(database: SqlStore) -> None:
    with database.read() as unit:
        filed = unit.desk.alert("a1")
        assert filed is not None
        assert (filed.alert, filed.ended, filed.said) == (an_alert(), False, Said())
        assert unit.desk.alert("none") is None


def test_who_acknowledges_first_is_kept(database: SqlStore) -> None:
    with database.begin() as unit:
        filed = unit.desk.acknowledge("a1", "ann", 1)
        assert unit.desk.acknowledge("a1", "bob", 2) == filed
    assert said(database) == Said(acknowledged=1, acknowledged_by="ann")
    with database.begin() as unit:
        unit.desk.acknowledge("a1", None, 3)
    assert said(database) == Said()
    assert kinds(database) == ["acknowledged", "acknowledged"]


def test_a_mute_has_an_end(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.desk.mute("a1", NOW, "ann")
        unit.desk.mute("a1", NOW, "bob")
    assert said(database) == Said(muted_until=NOW, muted_by="ann")
    with database.begin() as unit:
        assert unit.desk.mute("a1", None, "bob").said == Said()
    assert kinds(database) == ["muted", "muted"]


def test_what_is_said_survives_growth(database: SqlStore) -> None:
    with database.begin() as unit:
        unit.desk.acknowledge("a1", "ann", 1)
        unit.desk.mute("a1", NOW, "ann")
        unit.desk.comment("a1", "ann", "Seen.", 2)
    before = said(database)
    with database.begin() as unit:
        unit.save_alerts([an_alert(updates=3, reason="It grew.")])
    assert said(database) == before == Said(1, "ann", NOW, "ann", 1)


def test_comments_come_oldest_first_in_pages(database: SqlStore) -> None:
    with database.begin() as unit:
        written = [unit.desk.comment("a1", "ann", f"No. {number}", number) for number in range(5)]
        unit.desk.comment("a2", "bob", "Elsewhere", 9)
    with database.read() as unit:
        first = unit.desk.comments("a1", 3)
        second = unit.desk.comments("a1", 3, first.next)
    assert [*first.items, *second.items] == written
    assert second.next is None
    assert said(database).comments == 5
    assert kinds(database)[:5] == ["commented"] * 5


def test_comments_are_bounded(database: SqlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "MOST_COMMENTS", 2)
    with database.begin() as unit:
        for _ in range(2):
            unit.desk.comment("a1", "ann", "Again", 1)
        with pytest.raises(InputError, match="has 2 comments"):
            unit.desk.comment("a1", "ann", "Again", 1)


def test_an_unknown_alert_is_named(database: SqlStore) -> None:
    with database.begin() as unit:
        for say in (
            lambda: unit.desk.acknowledge("none", "ann", 1),
            lambda: unit.desk.mute("none", NOW, "ann"),
            lambda: unit.desk.comment("none", "ann", "Who?", 1),
            lambda: unit.desk.comments("none", 1),
        ):
            with pytest.raises(NotFoundError, match="GET /v1/alerts"):
                say()


@pytest.mark.parametrize(
    ("progress", "wanted"),
    [
        (None, ["new", "a3", "a2", "a1", "a0"]),
        (Progress.OPEN, ["new"]),
        (Progress.ENDED, ["a3", "a2", "a1", "a0"]),
        (Progress.ACKNOWLEDGED, ["a1"]),
        (Progress.MUTED, ["a2"]),
    ],
)
def test_alerts_by_where_they_stand(database: SqlStore, progress: Progress | None, wanted: list[str]) -> None:
    with database.begin() as unit:
        unit.add_window(a_record(start=START + 100 * MINUTE))
        unit.save_alerts([an_alert(id="new")])
        unit.desk.acknowledge("a1", "ann", 1)
        unit.desk.mute("a2", NOW + 1, "ann")
        unit.desk.mute("a3", NOW, "ann")
    with database.read() as unit:
        page = unit.desk.alerts(AlertQuery(), NOW, progress)
        assert [filed.alert.id for filed in page.items] == wanted
        two = unit.desk.alerts(AlertQuery(limit=2), NOW, progress)
        rest = unit.desk.alerts(AlertQuery(cursor=two.next), NOW, progress).items if two.next else ()
        assert (*two.items, *rest) == page.items
        assert set(unit.desk.filed(["a1", "none"])) == {"a1"}
