"""What is remembered from window to window: at hand while this process is the only one that goes on with it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from service.store.repository import LateMemory, MemoryKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.store.repository import Known

Value = TypeVar("Value")

_AT_HAND = 256
"""Sensors and lengths of windows of which it is kept at hand; others are read from the store."""


@dataclass(slots=True)
class Remembered(Generic[Value]):
    """One kind of memory, of all sensors. It is written in the transaction that stores its window."""

    empty: Callable[[], Value]
    read: Callable[[bytes], Value]
    write: Callable[[Value], bytes]
    durable: bool
    """Whether the store outlives the process; if not, nothing is written."""
    _held: OrderedDict[MemoryKey, tuple[str, Value]] = field(default_factory=OrderedDict)

    def get(self, reader: Known, key: MemoryKey) -> Value:
        """Return what is remembered: as it is at hand, if no other process has gone on with it."""
        held = self._held.get(key)
        if held is not None and (not self.durable or reader.memory_window(key) == held[0]):
            return held[1]
        memory = reader.memory(key)
        return self.empty() if memory is None else self.read(memory.document)

    def put(self, key: MemoryKey, window: str, value: Value) -> list[tuple[MemoryKey, LateMemory]]:
        """Remember this after a window, an id; return what is to be written with it: before it changes again."""
        self._held[key] = window, value
        self._held.move_to_end(key)
        if len(self._held) > _AT_HAND:
            self._held.popitem(last=False)
        return [(key, LateMemory(window, lambda: self.write(value)))] if self.durable else []

    def clear(self) -> None:
        """Forget what is at hand: it may not be in the store."""
        self._held.clear()
