"""What every update rule promises."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol, TypeVar

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations

State = TypeVar("State")


class UpdateRule(Protocol[State]):
    """How one factor moves, given the other.

    A rule is pure: equal arguments give equal results, arguments are never changed, and what it has to
    remember is in the state that it returns.
    """

    monotone: ClassVar[bool]
    """True if no update raises the error, but for rounding."""
    zeros_lock: ClassVar[bool]
    """True if an entry that is zero stays zero: such a rule needs a positive start."""

    def init(self, factor: Array, mode: int, /) -> State:
        """Return the state before the first update of `factor` (rows × k): D is mode 0, Cᵀ is mode 1."""
        ...

    def update(self, factor: Array, normal: NormalEquations, state: State, /) -> tuple[Array, State]:
        """Return the next factor, of the same shape and dtype, and the next state.

        `factor` and `normal` are finite; a result that is not ends the iteration, and need not be avoided.
        `factor` is usually the array that was returned last. If it is another one, the last iteration raised
        the error, and the loop went back to the best factors so far.
        """
        ...
