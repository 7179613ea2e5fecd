from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from service.windows.counts import ServiceCounts, SourceTotals, ToolCounts, WindowCounts
from tests.builders import START, a_window


def test_the_id_follows_from_sensor_start_and_length_alone() -> None:
    window = a_window("edge")
    assert window.id == a_window("edge", attempts=9).id
    assert window.id != replace(window, end=window.end + 1).id
    assert len({window.id, a_window("core").id, a_window("edge", START + 1).id}) == 3
    assert window.id.startswith("w")


def test_sensor_and_start_do_not_run_together() -> None:
    assert replace(a_window("a1"), start=2).id != replace(a_window("a"), start=12).id


def test_a_digest_tells_the_same_from_any_change() -> None:
    window = a_window()
    assert window.digest() == a_window().digest()
    changed = [replace(window, sensor="b"), replace(window, start=window.start + 1), replace(window, exact=False)]
    changed += [replace(window, end=window.end + 1), replace(window, sources=window.sources[::-1])]
    for name in ("rows", "totals", "samples"):
        part = getattr(window, name)
        for field in fields(part):
            column = getattr(part, field.name).copy()
            if not len(column) or (name, field.name) in {("rows", "source"), ("samples", "start")}:
                continue
            column[0] += 1
            changed.append(replace(window, **{name: replace(part, **{field.name: column})}))
    digests = {one.digest() for one in changed}
    assert len(digests) == len(changed) > 12
    assert window.digest() not in digests


def test_the_digest_does_not_depend_on_the_layout_in_memory() -> None:
    window = a_window()
    strided = np.asfortranarray(window.sources)
    assert replace(window, sources=strided).digest() == window.digest()


def test_attempts_add_up() -> None:
    assert a_window(attempts=100).attempts == 100 + 4 + 5


def rows_with(window: WindowCounts, **columns: object) -> ServiceCounts:
    return replace(window.rows, **columns)  # type: ignore[arg-type]


@pytest.mark.parametrize("field", [field.name for field in fields(ServiceCounts)][1:])
def test_columns_of_rows_must_be_of_one_length(field: str) -> None:
    window = a_window()
    with pytest.raises(ValueError, match=rf"ServiceCounts\.{field}: length is not 3"):
        replace(window, rows=rows_with(window, **{field: getattr(window.rows, field)[:2]}))


@pytest.mark.parametrize("field", [field.name for field in fields(SourceTotals)])
def test_there_are_totals_of_each_source(field: str) -> None:
    window = a_window()
    short = replace(window.totals, **{field: getattr(window.totals, field)[:1]})
    with pytest.raises(ValueError, match=rf"SourceTotals\.{field}: length is not 2"):
        replace(window, totals=short)


def test_tools_are_counted_of_each_source_and_part_of_the_content() -> None:
    window = a_window()
    with pytest.raises(ValueError, match=r"ToolCounts\.tcp: length is not 2"):
        replace(window, tools=ToolCounts.none(3))
    for column in fields(ToolCounts):
        counts = {"tcp": np.array([1, 1]), column.name: np.array([2, 1])}
        shown = replace(window, tools=replace(ToolCounts.none(2), **counts))
        assert shown.digest() != window.digest()
    assert replace(window, tools=ToolCounts.none(2)).digest() == window.digest()


def test_there_are_samples_of_each_source() -> None:
    window = a_window()
    with pytest.raises(ValueError, match="samples"):
        replace(window, samples=replace(window.samples, start=window.samples.start[:-1]))
    with pytest.raises(ValueError, match="samples"):
        replace(window, samples=replace(window.samples, start=window.samples.start + 1))


@pytest.mark.parametrize("wrong", [-1, 2])
def test_rows_point_at_sources(wrong: int) -> None:
    window = a_window()
    with pytest.raises(ValueError, match=r"rows\.source"):
        replace(window, rows=rows_with(window, source=np.array([0, 1, wrong], dtype=np.int32)))


@pytest.mark.parametrize("length", [0, -1])
def test_a_window_has_a_length(length: int) -> None:
    window = a_window()
    with pytest.raises(ValueError, match="is not after the start"):
        replace(window, end=window.start + length)
