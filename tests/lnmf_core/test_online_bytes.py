from __future__ import annotations

import io
import pickle
import zipfile
from typing import Any

import numpy as np
import pytest

from lnmf_core import FactorError, Factorizer
from lnmf_core.online_bytes import VERSION, arrays_of, bytes_of
from tests.lnmf_core.streams import followed

ARRAYS: dict[str, Any] = {
    "a": np.array([1.5, np.inf, np.nan]),
    "b": np.arange(6, dtype=np.int32).reshape(2, 3),
    "c": np.array(7),
    "d": np.empty((0, 4)),
    "e": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
}


def archive(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as written:
        for name, content in members.items():
            written.writestr(name, content)
    return file.getvalue()


def npy(array: Any, *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def header(shape: str, kind: str = "<f8") -> bytes:
    """Return the beginning of an array of this shape, and nothing of its content."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_arrays_come_back_as_they_were() -> None:
    found = arrays_of(bytes_of(ARRAYS))
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array, err_msg=name)
        assert found[name].flags.writeable


def test_equal_arrays_give_equal_bytes() -> None:
    assert bytes_of(ARRAYS) == bytes_of({name: array.copy(order="K") for name, array in ARRAYS.items()})


def test_the_format_is_numpys_own() -> None:
    with np.load(io.BytesIO(bytes_of(ARRAYS)), allow_pickle=False) as found:
        np.testing.assert_array_equal(found["b"], ARRAYS["b"])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_what_is_cut_off_is_refused(share: float) -> None:
    data = followed()[0].to_bytes()
    with pytest.raises(FactorError, match="no stored factorisation"):
        Factorizer.from_bytes(data[: int(share * len(data))])


@pytest.mark.parametrize("place", range(40, 4000, 97))
def test_what_is_changed_is_refused_or_says_nothing_of_the_arrays(place: int) -> None:
    data = bytearray(bytes_of({"a": np.arange(500.0)}))
    data[place] ^= 0x55
    try:
        found = arrays_of(bytes(data))
    except FactorError:
        return
    np.testing.assert_array_equal(found["a"], np.arange(500.0))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"version.npy": npy(VERSION + 1)}, f"version {VERSION + 1}"),
        ({"version.npy": npy(np.array([VERSION, VERSION]))}, "version"),
        ({"a.npy": npy(1.0)}, "version 0"),
        (
            {"version.npy": npy(VERSION), "a.npy": npy(np.array([{}], object), allow_pickle=True)},
            "must hold numbers",
        ),
        ({"version.npy": npy(VERSION), "a.npy": npy(np.array(["x"]))}, "must hold numbers"),
        ({"version.npy": npy(VERSION), "a.npy": pickle.dumps([1])}, "no stored factorisation"),
        ({"version.npy": npy(VERSION), "a.npy": header("(1000000000000,)")}, "no array of shape"),
        ({"version.npy": npy(VERSION), "a.npy": header("(-1,)") + bytes(8)}, "no array of shape|no stored"),
        ({f"{number}.npy": npy(1.0) for number in range(101)}, "more than 100 arrays"),
    ],
)
def test_what_is_no_such_archive_is_refused(members: dict[str, bytes], message: str) -> None:
    with pytest.raises(FactorError, match=message):
        arrays_of(archive(members))


def test_what_is_compressed_is_refused_for_it_may_be_anything_in_size() -> None:
    members = {"version.npy": npy(VERSION), "a.npy": npy(np.zeros(10**6))}
    with pytest.raises(FactorError, match="compressed"):
        arrays_of(archive(members, zipfile.ZIP_DEFLATED))


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytes_of(ARRAYS)
    monkeypatch.setattr("lnmf_core.online_bytes.LARGEST", len(data) - 1)
    with pytest.raises(FactorError, match=f"at most {len(data) - 1} are read"):
        arrays_of(data)
