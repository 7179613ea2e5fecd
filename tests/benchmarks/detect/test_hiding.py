from __future__ import annotations

import numpy as np
import pytest

from benchmarks.detect.hiding import HOST, SCANNER, Cell, delays, hiding, lines, measure, scan
from benchmarks.detect.replay import SECOND, START, Try, named
from service.alerts.alert import Kind
from service.capture.batch import Outcome
from service.capture.services import Protocol, service_code


@pytest.mark.parametrize(("outcome", "tries", "seconds"), [(Outcome.REFUSED, 10, 9), (None, 13, 12)])
def test_a_scanner_is_named_when_ten_pairs_are_decided(outcome: int | None, tries: int, seconds: int) -> None:
    (verdict,) = named(scan("ports of a host, TCP", 1, START, outcome)).values()
    assert (verdict.kind, verdict.tries, verdict.pairs, verdict.seconds) == (Kind.VERTICAL, tries, 10, seconds)


def test_nobody_is_named_whom_all_answer() -> None:
    web = service_code(Protocol.TCP, 443)
    assert named([Try(START + i * SECOND, SCANNER, HOST + i, web, Outcome.ANSWERED) for i in range(60)]) == {}


def test_every_cell_makes_a_scan() -> None:
    for cell in (*delays(), *hiding()):
        tries = cell.make(START, np.random.default_rng(0))
        assert {one.source for one in tries} >= set(cell.scanners), cell.title
        assert min(one.time for one in tries) >= START


def test_a_cell_that_is_never_named_has_a_row_too() -> None:
    quiet = Cell("nothing much", 3, lambda start, _: scan("pings", 1, start, count=3))
    row = measure(quiet, 2, 0)
    assert (row["named"], row["tries"]) == (0, None)
    page = lines({"starts": 2, "seed": 0, "delays": [row], "hiding": []})
    assert "| nothing much | 3 | 0 of 2 |  |  | – | – | – |" in page
