import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnmf_core.errors import WeightsError
from lnmf_core.weights import store
from lnmf_core.weights.store import ModelCard, Weights, load, save

CARD = ModelCard("mlp", "uniform problems", 7, "abc", {"hidden": 4}, {"ratio": 1.5})


def saved(directory: Path, **arrays: Any) -> Path:
    save("model", Weights(arrays or {"W1": np.arange(6.0).reshape(2, 3)}, CARD), directory)
    return directory


def rewrite(directory: Path, **changes: Any) -> None:
    path = directory / "model.json"
    stated = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({key: value for key, value in stated.items() if value is not ...}), encoding="utf-8")


def replace_arrays(directory: Path, packed: bytes) -> None:
    (directory / "model.npz").write_bytes(packed)
    rewrite(directory, sha256=store._digest(packed))


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"W1": np.random.default_rng(0).random((3, 2)), "b": np.ones(2, np.float32)}
    weights = load("model", "mlp", saved(tmp_path, **arrays))
    assert weights.card == CARD
    assert weights.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(weights.arrays[name], array)
        assert weights.arrays[name].dtype == array.dtype
        assert not weights.arrays[name].flags.writeable


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        saved(tmp_path / name)
    for file in ("model.npz", "model.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path) / "model.npz"
    packed = bytearray(path.read_bytes())
    packed[len(packed) // 2] ^= 1
    path.write_bytes(packed)
    with pytest.raises(WeightsError, match=r"model\.npz: is not the file its card describes"):
        load("model", "mlp", tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format is 2; this version reads 1"),
        ({"format": ...}, "format is None"),
        ({"sha256": ...}, "not the file its card describes"),
        ({"seed": ...}, "seed is missing"),
        ({"seed": "7"}, "seed is '7'"),
        ({"seed": True}, "seed is True"),
        ({"data": ""}, "data is ''"),
        ({"commit": 3}, "commit is 3"),
        ({"figures": [1]}, "figures is a list"),
        ({"kind": "momentum"}, "holds 'momentum', not 'mlp'"),
    ],
)
def test_a_card_that_is_wrong_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(saved(tmp_path), **changes)
    with pytest.raises(WeightsError, match=message):
        load("model", "mlp", tmp_path)


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_a_card_that_is_none_is_refused(tmp_path: Path, text: bytes) -> None:
    (saved(tmp_path) / "model.json").write_bytes(text)
    with pytest.raises(WeightsError, match=r"model\.json: is no "):
        load("model", "mlp", tmp_path)


@pytest.mark.parametrize("file", ["model.npz", "model.json"])
def test_missing_and_oversized_files_are_refused(tmp_path: Path, file: str) -> None:
    path = saved(tmp_path) / file
    path.write_bytes(bytes(store.LARGEST_FILE + 1))
    with pytest.raises(WeightsError, match="is larger than"):
        load("model", "mlp", tmp_path)
    path.unlink()
    with pytest.raises(WeightsError, match="can't be read"):
        load("model", "mlp", tmp_path)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    packed = io.BytesIO()
    np.savez(packed, W1=np.array([{"a": 1}], dtype=object))
    replace_arrays(saved(tmp_path), packed.getvalue())
    with pytest.raises(WeightsError, match="holds no plain arrays"):
        load("model", "mlp", tmp_path)


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("W1.npy", bytes(store.LARGEST_FILE + 1))
    replace_arrays(saved(tmp_path), packed.getvalue())
    with pytest.raises(WeightsError, match="unpacks to"):
        load("model", "mlp", tmp_path)


@pytest.mark.parametrize("packed", [b"", b"PK", b"no archive"])
def test_what_is_no_archive_is_refused(tmp_path: Path, packed: bytes) -> None:
    replace_arrays(saved(tmp_path), packed)
    with pytest.raises(WeightsError, match="holds no plain arrays"):
        load("model", "mlp", tmp_path)


@pytest.mark.parametrize("array", [np.array([np.nan]), np.array([1]), np.array(["a"]), [1.0]])
def test_arrays_must_be_finite_floats(tmp_path: Path, array: Any) -> None:
    with pytest.raises(WeightsError, match="array 'W1'"):
        saved(tmp_path, W1=array)


@pytest.mark.parametrize("name", ["", "../model", "a/b", "A", "a" * 65])
def test_a_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match="is no name for weights"):
        load(name, "mlp", tmp_path)


def test_shapes_can_be_asked_for(tmp_path: Path) -> None:
    weights = load("model", "mlp", saved(tmp_path))
    assert weights.array("W1", -1, 3).shape == (2, 3)
    with pytest.raises(WeightsError, match=r"array 'W1' has shape \(2, 3\), not \(2, 2\)"):
        weights.array("W1", 2, 2)
    with pytest.raises(WeightsError, match="not"):
        weights.array("W1", 6)
    with pytest.raises(WeightsError, match="'W2' is missing"):
        weights.array("W2", 1)


def test_too_many_arrays_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="the arrays take"):
        saved(tmp_path, W1=np.zeros(store.LARGEST_FILE // 8 + 1))
    assert not list(tmp_path.iterdir())
