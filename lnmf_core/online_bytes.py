"""Arrays as bytes, and back: numpy's npz without compression and without pickle, read with all sizes bounded."""

from __future__ import annotations

import io
import math
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from lnmf_core.errors import FactorError

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 1
"""Of what the arrays are and mean; bytes of another one are refused."""
LARGEST = 2**31
"""More bytes are refused, 2 GiB."""
MOST_ARRAYS = 100
_DAMAGED = (zipfile.BadZipFile, ValueError, TypeError, EOFError, OSError, NotImplementedError, RuntimeError)
"""What `zipfile` and numpy raise for bytes that are no npz."""


def bytes_of(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return these arrays of numbers as bytes; equal arrays give equal bytes."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, version=np.array(VERSION), **arrays)
    return file.getvalue()


def arrays_of(data: bytes) -> dict[str, NDArray[Any]]:
    """Return the arrays that `bytes_of` was given.

    Raises FactorError for bytes that are too many, of another version, cut off or otherwise damaged. Nothing is
    unpickled, and no more memory is taken than there are bytes: what is compressed is refused.
    """
    if len(data) > LARGEST:
        raise FactorError(f"state has {len(data)} bytes: at most {LARGEST} are read")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MOST_ARRAYS or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise FactorError(f"state: more than {MOST_ARRAYS} arrays, or compressed ones, are not read")
            arrays = {entry.filename.removesuffix(".npy"): _array_of(archive.read(entry)) for entry in entries}
    except _DAMAGED as error:
        if isinstance(error, FactorError):
            raise
        raise FactorError(f"state: {len(data)} bytes are no stored factorisation: {error}") from error
    version = arrays.pop("version", np.array(0))
    if version.shape != () or version != VERSION:
        raise FactorError(f"state is of version {version}: this release reads version {VERSION}")
    return arrays


def _array_of(data: bytes) -> NDArray[Any]:
    file = io.BytesIO(data)
    if npy.read_magic(file) != (1, 0):
        raise FactorError("state: an array is of a format that is not written here")
    shape, in_columns, dtype = npy.read_array_header_1_0(file)
    if dtype.kind not in "iuf":
        raise FactorError(f"state: an array holds {dtype}: it must hold numbers")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - file.tell():
        raise FactorError(f"state: {len(data) - file.tell()} bytes are no array of shape {shape} and {dtype}")
    values = np.frombuffer(data, dtype, offset=file.tell()).copy()
    return values.reshape(shape, order="F" if in_columns else "C")
