from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.patterns.forms import Form, blended, contained, cosine, cosines, listed, named_form


def form(**weights: float) -> Form:
    """Make a form of TCP ports: ``form(p23=0.8, p2323=0.2)``."""
    return named_form((f"tcp/{port[1:]}", weight) for port, weight in weights.items())


@st.composite
def forms(draw: st.DrawFn) -> Form:
    ports = draw(st.lists(st.integers(1, 30), min_size=1, max_size=12, unique=True))
    weights = np.sort(draw(st.lists(st.floats(0.01, 1), min_size=len(ports), max_size=len(ports))))[::-1]
    return Form(np.array(ports, np.int32), weights / weights.sum())


@given(st.lists(forms(), max_size=4), st.lists(forms(), max_size=4))
@settings(derandomize=True, deadline=None)
def test_cosines_are_those_of_each_two(rows: list[Form], columns: list[Form]) -> None:
    found = cosines(rows, columns)
    assert found.shape == (len(rows), len(columns))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            dense = np.zeros((2, 31))
            dense[0, row.services], dense[1, column.services] = row.weights, column.weights
            wanted = dense[0] @ dense[1] / np.linalg.norm(dense[0]) / np.linalg.norm(dense[1])
            assert found[i, j] == pytest.approx(wanted)
            assert cosine(row, column) == pytest.approx(wanted)
            inside = np.isin(row.services, column.services)
            assert contained(row, column) == pytest.approx(row.weights[inside].sum())


def test_a_service_of_another_protocol_is_another() -> None:
    assert cosine(named_form([("tcp/53", 1.0)]), named_form([("udp/53", 1.0)])) == 0.0


def test_two_windows_of_one_list_show_the_same_part_of_it() -> None:
    chance = np.random.default_rng(3)
    shown = []
    for _ in range(2):
        weights = np.sort(1 + 0.2 * chance.random(1000))[::-1]
        shown.append(listed(Form(chance.permutation(1000).astype(np.int32), weights / weights.sum()), 256))
    assert [len(each) for each in shown] == [256, 256]
    assert len(np.intersect1d(shown[0].services, shown[1].services)) == 256
    assert (np.diff(shown[0].weights) <= 0).all()


def test_what_is_listed_is_what_is_heaviest() -> None:
    assert listed(form(p1=0.5, p2=0.2, p3=0.2, p4=0.1), 1).services.tolist() == [1]
    short = form(p1=0.5, p2=0.5)
    assert listed(short, 2) is short


def test_a_blend_lies_between_and_forgets_dust() -> None:
    old, new = form(p23=1.0), form(p23=0.5, p2323=0.4995, p9=0.0005)
    mixed = blended(old, new, 0.4, 256)
    assert mixed.services.tolist() == [23, 2323]
    assert mixed.weights.tolist() == pytest.approx([0.8, 0.1998])
    assert cosine(old, new) < cosine(mixed, new) < 1
