"""Trained parameters as plain arrays, each set with a model card that says where it comes from.

Nothing is unpickled: a file that was changed, or that asks for more memory than a small model needs, is refused
before it is parsed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from lnmf_core.errors import WeightsError
from lnmf_core.factors import FLOATS, Array

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
"""Version of the files; a set of another version is refused."""

LARGEST_FILE = 1 << 20
"""Bytes that a card, or the arrays, packed or unpacked, may take."""

SHIPPED = Path(__file__).parent
"""Where the sets that are part of the package lie."""

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

Value: TypeAlias = str | int | float | bool | list["Value"] | dict[str, "Value"] | None
"""What JSON can hold."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Where trained parameters come from, and how good they are.

    Raises WeightsError if a field is of the wrong type or empty.
    """

    kind: str
    """The rule that can load them, such as `mlp`."""
    data: str
    """What they were trained on, in words."""
    seed: int
    commit: str
    """The commit of the code that trained them, or `unknown`."""
    settings: Mapping[str, Value] = field(default_factory=dict)
    """Every option of the training."""
    figures: Mapping[str, Value] = field(default_factory=dict)
    """What was measured on data that the training has not seen."""

    def __post_init__(self) -> None:
        for name in ("kind", "data", "commit"):
            value = getattr(self, name)
            if not (isinstance(value, str) and value):
                raise WeightsError(f"model card: {name} is {value!r}: it must be a text that is not empty")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise WeightsError(f"model card: seed is {self.seed!r}: it must be a whole number")
        for name in ("settings", "figures"):
            value = getattr(self, name)
            if not isinstance(value, dict):
                raise WeightsError(f"model card: {name} is a {type(value).__name__}: it must be a table")


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Arrays by name, read-only, float64 or float32, finite; and their card."""

    arrays: Mapping[str, Array]
    card: ModelCard

    def array(self, name: str, *shape: int) -> Array:
        """Return the array `name`; raises WeightsError if it is missing or not of this shape (−1: any)."""
        if name not in self.arrays:
            raise WeightsError(f"{self.card.kind}: array {name!r} is missing; train the set again")
        found = self.arrays[name]
        if len(found.shape) != len(shape) or any(
            want not in (-1, have) for have, want in zip(found.shape, shape, strict=True)
        ):
            raise WeightsError(f"{self.card.kind}: array {name!r} has shape {found.shape}, not {shape}")
        return found


def save(name: str, weights: Weights, directory: Path) -> None:
    """Write NAME.npz and NAME.json to `directory`; equal weights give equal bytes.

    Raises WeightsError for a bad name, or arrays that could not be loaded again.
    """
    packed = io.BytesIO()
    np.savez(packed, allow_pickle=False, **{key: _checked(key, array) for key, array in weights.arrays.items()})
    if packed.tell() > LARGEST_FILE:
        raise WeightsError(f"{name}: the arrays take {packed.tell()} bytes; at most {LARGEST_FILE} are read again")
    card = {"format": FORMAT, "sha256": _digest(packed.getvalue()), **asdict(weights.card)}
    arrays_path, card_path = _paths(name, directory)
    arrays_path.write_bytes(packed.getvalue())
    card_path.write_text(json.dumps(card, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def load(name: str, kind: str, directory: Path = SHIPPED) -> Weights:
    """Return the set NAME of this kind from `directory`.

    Raises WeightsError if a file is missing, too large or not as its card says: the format, the hash of the
    arrays, their type, their values.
    """
    arrays_path, card_path = _paths(name, directory)
    stated = _parsed(card_path)
    if stated.get("format") != FORMAT:
        raise WeightsError(f"{card_path.name}: format is {stated.get('format')!r}; this version reads {FORMAT}")
    packed = _read(arrays_path)
    if _digest(packed) != stated.get("sha256"):
        raise WeightsError(f"{arrays_path.name}: is not the file its card describes (SHA-256); fetch it again")
    known = {each.name for each in fields(ModelCard)}
    missing = sorted(known - stated.keys())
    if missing:
        raise WeightsError(f"{card_path.name}: {missing[0]} is missing; train the set again")
    card = ModelCard(**{key: value for key, value in stated.items() if key in known})
    if card.kind != kind:
        raise WeightsError(f"{card_path.name}: holds {card.kind!r}, not {kind!r}")
    return Weights(_unpacked(arrays_path.name, packed), card)


def _paths(name: str, directory: Path) -> tuple[Path, Path]:
    if not NAME.fullmatch(name):
        raise WeightsError(f"{name!r} is no name for weights: use letters a–z, digits, '-' and '_'")
    return directory / f"{name}.npz", directory / f"{name}.json"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            held = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise WeightsError(f"{path}: can't be read ({error.strerror}); train the set, or name another") from error
    if len(held) > LARGEST_FILE:
        raise WeightsError(f"{path.name}: is larger than {LARGEST_FILE} bytes, more than a small model needs")
    return held


def _parsed(path: Path) -> dict[str, Any]:
    try:
        stated = json.loads(_read(path).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path.name}: is no JSON ({error}); fetch it again") from error
    if not isinstance(stated, dict):
        raise WeightsError(f"{path.name}: is no model card; fetch it again")
    return stated


def _unpacked(name: str, packed: bytes) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST_FILE:
            raise WeightsError(f"{name}: unpacks to {size} bytes; at most {LARGEST_FILE} are read")
        with np.load(io.BytesIO(packed), allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
    except (zipfile.BadZipFile, KeyError, EOFError, OSError) as error:
        raise WeightsError(f"{name}: holds no plain arrays ({error}); fetch it again") from error
    except ValueError as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{name}: holds no plain arrays ({error}); fetch it again") from error
    return {key: _checked(key, array) for key, array in arrays.items()}


def _checked(name: str, array: object) -> Array:
    if not isinstance(array, np.ndarray) or array.dtype not in FLOATS:
        raise WeightsError(f"array {name!r}: must be a numpy array of float64 or float32")
    if not np.isfinite(array).all():
        raise WeightsError(f"array {name!r}: holds values that are not finite; train the set again")
    view = array.view()
    view.flags.writeable = False
    return view


def _digest(packed: bytes) -> str:
    return hashlib.sha256(packed).hexdigest()
