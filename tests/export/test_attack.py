from __future__ import annotations

import pytest

from service.alerts.alert import TECHNIQUES
from service.export.attack import Entry, technique_of
from service.patterns.techniques import DISCOVERY, GUESSING, SWEEP


def test_a_part_is_told_with_its_whole_and_its_tactic() -> None:
    technique = technique_of("T1595.001")
    assert technique.whole == Entry("T1595", "Active Scanning", "https://attack.mitre.org/techniques/T1595/")
    assert technique.part == Entry(
        "T1595.001", "Scanning IP Blocks", "https://attack.mitre.org/techniques/T1595/001/"
    )
    assert technique.tactic == Entry("TA0043", "Reconnaissance", "https://attack.mitre.org/tactics/TA0043/")
    assert technique.narrowest is technique.part
    assert technique.title == "Active Scanning: Scanning IP Blocks"


def test_a_whole_technique_has_no_part() -> None:
    technique = technique_of("T1046")
    assert (technique.part, technique.narrowest) == (None, technique.whole)
    assert technique.title == "Network Service Discovery"


@pytest.mark.parametrize("known", sorted({*TECHNIQUES.values(), DISCOVERY, GUESSING, SWEEP}))
def test_all_that_yocho_names_have_names_and_tactics(known: str) -> None:
    technique = technique_of(known)
    assert technique.tactic
    assert technique.narrowest.name != known


def test_an_unknown_technique_is_called_by_its_id() -> None:
    technique = technique_of("T9999.123")
    assert (technique.title, technique.tactic) == ("T9999: T9999.123", None)
