"""What loops hold on to that come from numba's cache: not the LLVM modules that they were made of.

numba parses such a module, a megabyte or so, for the case that a loop which is compiled later calls this one, and
keeps it: 28 MB in a scan, in which no loop is compiled. Here it is parsed when it comes to that. This builds on
names that numba does not promise; where they are missing, loops hold what numba lets them hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite.binding import parse_bitcode  # type: ignore[import-untyped]
from numba.core import codegen

if TYPE_CHECKING:
    from typing import Self

_Library: Any = getattr(codegen, "JITCodeLibrary", object)
_NEEDED = ("_unserialize", "_get_module_for_linking", "_ensure_finalized")


class LeanLibrary(_Library):  # type: ignore[misc]  # numba ships no types
    """The machine code of a loop, and the bitcode of its module as the cache has it."""

    _bitcode: bytes | None = None

    @classmethod
    def _unserialize(cls, target: Any, state: tuple[str, str, Any]) -> Self:
        library: Self = super()._unserialize(target, state)
        if state[1] == "object" and hasattr(library, "_shared_module"):
            library._bitcode, library._shared_module = state[2][1], None
        return library

    def _get_module_for_linking(self) -> Any:
        return super()._get_module_for_linking() if self._bitcode is None else parse_bitcode(self._bitcode)


def hold_no_modules() -> bool:
    """Have loops that come from the cache from now on hold no modules; return whether this numba lets them."""
    target: Any = getattr(codegen, "JITCPUCodegen", None)
    able = getattr(target, "_library_class", None) in {_Library, LeanLibrary}
    able = able and all(hasattr(_Library, name) for name in _NEEDED)
    if able:
        target._library_class = LeanLibrary  # noqa: SLF001  (of numba, see above)
    return able
