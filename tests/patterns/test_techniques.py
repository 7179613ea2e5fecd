from __future__ import annotations

from dataclasses import replace

from service.patterns.techniques import Traces, techniques

TELNET = (("tcp/23", 0.8), ("tcp/2323", 0.2))
SWEEP = Traces(attempts=40, targets=20, services=2, answered=0.05, tries_of_answering=1.0)


def test_few_services_on_many_targets_are_a_sweep() -> None:
    assert techniques(TELNET, SWEEP) == ("T1595.001",)


def test_many_services_on_few_targets_are_discovery() -> None:
    assert techniques(TELNET, replace(SWEEP, services=500, targets=1)) == ("T1046",)
    assert techniques(TELNET, replace(SWEEP, services=500)) == ("T1046", "T1595.001")


def test_use_is_no_search() -> None:
    assert techniques(TELNET, replace(SWEEP, answered=0.9)) == ()
    assert techniques(TELNET, replace(SWEEP, targets=1)) == ()


def test_many_tries_of_a_login_that_answers_are_guesses() -> None:
    guesses = Traces(attempts=900, targets=1, services=1, answered=1.0, tries_of_answering=900)
    assert techniques(TELNET, guesses) == ("T1110",)
    assert techniques((("tcp/443", 1.0),), guesses) == ()
    assert techniques(TELNET, replace(guesses, tries_of_answering=8.0)) == ()
