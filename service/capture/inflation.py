"""How much may come out of packed data: a bomb is small until somebody unpacks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import CaptureError

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.capture.chunks import ByteStream


@dataclass(frozen=True, slots=True)
class InflationSpec:
    """How much is unpacked of one file; raises ValueError unless all is positive."""

    bytes: int = 4 << 30
    ratio: int = 250
    """Bytes for each packed one. Logs have some 20, captures of packets full of zeros some 150."""
    overlooked: int = 16 << 20
    """Bytes up to which the ratio does not matter."""

    def __post_init__(self) -> None:
        if min(self.bytes, self.ratio, self.overlooked) <= 0:
            raise ValueError(f"inflation: {self} is not all positive")


class Inflation:
    """A stream that unpacks, up to its bound; `packed` returns how many packed bytes were consumed."""

    def __init__(self, stream: ByteStream, packed: Callable[[], int], spec: InflationSpec) -> None:
        self._stream = stream
        self._packed = packed
        self._spec = spec
        self._done = 0

    def readinto1(self, buffer: memoryview, /) -> int:
        """See `service.capture.chunks.ByteStream`; raises CaptureError beyond the bound."""
        got = self._stream.readinto1(buffer)
        self._done += got
        spec = self._spec
        if self._done > spec.bytes:
            raise CaptureError(f"the packed data holds more than {spec.bytes} bytes; send parts of it")
        if self._done > spec.overlooked and self._done > spec.ratio * self._packed():
            raise CaptureError(
                f"the packed data unpacks to more than {spec.ratio} times its size; pack it less, or send parts"
            )
        return got

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()
