"""What is remembered from window to window: at hand while this process is the only one that goes on with it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from service.store.repository import Memory, MemoryKey, Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.store.repository import Unit

Value = TypeVar("Value")

_AT_HAND = 256
"""Sensors and lengths of windows of which it is kept at hand; others are read from the store."""


@dataclass(slots=True)
class Remembered(Generic[Value]):
    """One kind of memory of all sensors. It is written in the transaction that stores its window."""

    part: Part
    empty: Callable[[], Value]
    read: Callable[[bytes], Value]
    write: Callable[[Value], bytes]
    durable: bool
    """Whether the store outlives the process; if not, nothing is written."""
    _held: OrderedDict[MemoryKey, tuple[str, Value]] = field(default_factory=OrderedDict)

    def get(self, unit: Unit, sensor: str, length: int) -> Value:
        """Return what is remembered of a sensor's windows of a length, ns."""
        key = MemoryKey(sensor, length, self.part)
        held = self._held.pop(key, None)
        if held is not None and (not self.durable or unit.memory_window(key) == held[0]):
            self._held[key] = held
            return held[1]
        memory = unit.memory(key)
        if memory is None:
            return self.empty()
        value = self.read(memory.document)
        self._keep(key, memory.window, value)
        return value

    def put(self, unit: Unit, sensor: str, length: int, window: str, value: Value) -> None:
        """Remember this after a window, an id."""
        key = MemoryKey(sensor, length, self.part)
        self._keep(key, window, value)
        if self.durable:
            unit.save_memory(key, Memory(window, self.write(value)))

    def clear(self) -> None:
        """Forget what is at hand: it may not be in the store."""
        self._held.clear()

    def _keep(self, key: MemoryKey, window: str, value: Value) -> None:
        self._held[key] = window, value
        self._held.move_to_end(key)
        if len(self._held) > _AT_HAND:
            self._held.popitem(last=False)
