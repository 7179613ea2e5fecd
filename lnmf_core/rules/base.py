"""What every update rule promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from lnmf_core.factors import Array
    from lnmf_core.normal import NormalEquations

State = TypeVar("State")


@runtime_checkable
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


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """Where an iteration begins: the best pair so far, and the normal equations there."""

    D: Array
    Ct: Array
    D_normal: NormalEquations
    Ct_normal: NormalEquations | None
    """None in the first iteration, which therefore costs no product more than the others."""


@runtime_checkable
class JointRule(Protocol[State]):
    """How both factors move together. As pure as `UpdateRule`, and as little able to see X.

    An iteration is `move`, then the product Xᵀ·D for the D that it returned, then `settle`.
    """

    monotone: ClassVar[bool]
    zeros_lock: ClassVar[bool]

    def begin(self, D: Array, Ct: Array, /) -> State:
        """Return the state before the first iteration."""
        ...

    def move(self, here: Point, state: State, /) -> tuple[Array, Array, State]:
        """Return the next D, a proposal for the next Cᵀ, and the state.

        If `here.D` is not the array that was returned last, the last iteration was taken back.
        """
        ...

    def settle(self, Ct: Array, of_C: NormalEquations, state: State, /) -> tuple[Array, State]:
        """Return the next Cᵀ, given its proposal and the normal equations at the next D."""
        ...


@dataclass(frozen=True, slots=True)
class Alternating:
    """A rule that moves one factor at a time, as a `JointRule`: D moves, then C settles."""

    rule: UpdateRule[Any]

    def begin(self, D: Array, Ct: Array, /) -> tuple[Any, Any]:
        """Return the states of both factors."""
        return self.rule.init(D, 0), self.rule.init(Ct, 1)

    def move(self, here: Point, state: tuple[Any, Any], /) -> tuple[Array, Array, tuple[Any, Any]]:
        """Return the updated D, Cᵀ as it is, and the states."""
        D, of_D = self.rule.update(here.D, here.D_normal, state[0])
        return D, here.Ct, (of_D, state[1])

    def settle(self, Ct: Array, of_C: NormalEquations, state: tuple[Any, Any], /) -> tuple[Array, tuple[Any, Any]]:
        """Return the updated Cᵀ and the states."""
        new, of_Ct = self.rule.update(Ct, of_C, state[1])
        return new, (state[0], of_Ct)


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of a problem before it is begun."""

    rows: int
    columns: int
    rank: int
    density: float
    """Share of entries that are stored, or of a dense X, that are not zero."""
    sparse: bool = False
    """Whether only those entries are stored."""


class RuleChoice(ABC):
    """Names a rule once the problem is known."""

    zeros_lock: ClassVar[bool]

    @abstractmethod
    def choose(self, traits: Traits, /) -> UpdateRule[Any] | JointRule[Any]:
        """Return the rule that is expected to be done first."""
