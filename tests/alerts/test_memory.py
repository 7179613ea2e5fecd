from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service.alerts import memory
from service.alerts.coordinated import remember
from service.alerts.history import History, HistorySpec
from service.alerts.memory import from_bytes, packed, to_bytes, unpacked
from service.errors import InputError
from tests.alerts.groups_traffic import at_day, background, campaign, judged, learned

SPEC = HistorySpec()


def test_a_restart_goes_on_exactly() -> None:
    before = learned(12)
    after = from_bytes(to_bytes(before), SPEC)
    for number in range(12, 15):
        chance = np.random.default_rng(number)
        tries = background(chance) + campaign([f"tcp/{port}" for port in range(2000, 2008)], 8, 3, chance)
        first, second = judged(at_day(number, tries), before), judged(at_day(number, tries), after)
        assert [(v.key, v.score, v.threshold, v.expected) for v in first.candidates] == [
            (v.key, v.score, v.threshold, v.expected) for v in second.candidates
        ]
        remember(before, first)
        remember(after, second)
    assert to_bytes(before) == to_bytes(after)


def test_an_empty_history_comes_back() -> None:
    assert from_bytes(to_bytes(History()), SPEC).windows() == []


def test_a_history_from_before_there_were_events_is_read() -> None:
    arrays = packed(learned(12))
    del arrays["events"]
    assert all(known.of == known.key for known in unpacked(arrays, SPEC).incidents.every())


def _drop(name: str) -> Callable[[dict[str, NDArray[Any]]], None]:
    def drop(arrays: dict[str, NDArray[Any]]) -> None:
        del arrays[name]

    return drop


def _put(name: str, value: Any) -> Callable[[dict[str, NDArray[Any]]], None]:
    return lambda arrays: arrays.update({name: np.array(value)})


@pytest.mark.parametrize(
    ("damage", "field"),
    [
        (_drop("ids"), "ids"),
        (_drop("best"), "best"),
        (_put("events", [b"one"]), "events"),
        (_put("version", [2]), "version"),
        (_put("counts", [1, 2, 3]), "counts"),
        (_put("counters", [-1, 2]), "counters"),
        (_put("windows", [[5, 4, 1]]), "windows"),
        (_put("rows", [1.5]), "rows"),
        (_put("observed", [1]), "incidents"),
        (_put("keys", [b"x"]), "incidents"),
        (_put("ids", 1), "ids"),
        (_put("counts", np.array([1 << 63], np.uint64)), "counts"),
    ],
)
def test_damage_is_named(damage: Callable[[dict[str, NDArray[Any]]], None], field: str) -> None:
    arrays = packed(learned(3))
    damage(arrays)
    with pytest.raises(InputError) as raised:
        unpacked(arrays, SPEC)
    assert raised.value.field == field


def test_bytes_that_are_none_of_ours_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = to_bytes(learned(3))
    for other in (b"", b"PK", data[: len(data) // 2], data.replace(b"version", b"another", 1)):
        with pytest.raises(InputError):
            from_bytes(other, SPEC)
    pickled = io.BytesIO()
    np.savez(pickled, version=np.array([{}], dtype=object))
    with pytest.raises(InputError):
        from_bytes(pickled.getvalue(), SPEC)
    monkeypatch.setattr(memory, "LARGEST", 100)
    with pytest.raises(InputError, match="more than 100 bytes"):
        from_bytes(data, SPEC)


def _archive(compression: int, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("ids.npy", content)
    return buffer.getvalue()


def _claims(shape: str) -> bytes:
    header = f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    "data",
    [
        _archive(zipfile.ZIP_DEFLATED, _claims("(0,)")),
        _archive(zipfile.ZIP_STORED, _claims("(1 << 40,)")),
        _archive(zipfile.ZIP_STORED, _claims("(1099511627776,)")),
        _archive(zipfile.ZIP_STORED, b"\x93NUMPY\x03\x00"),
        _archive(zipfile.ZIP_STORED, b"no array"),
        *(
            _archive(zipfile.ZIP_STORED, _claims("(0,)")).replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", changed)
            for changed in (b"PK\x01\x02\x14\x03\xff\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
        ),
    ],
    ids=["compressed", "no-shape", "huge", "version", "no-array", "too-new", "encrypted"],
)
def test_an_archive_that_is_not_ours_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="history: is"):
        from_bytes(data, SPEC)
