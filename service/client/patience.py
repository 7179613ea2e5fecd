"""When to ask again, and when to give up."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.client.steps import Answer, Call, Failure, Pause

if TYPE_CHECKING:
    from service.client.steps import Plan, Result, Steps

from service.errors import RemoteError

LATER = frozenset({429, 502, 503, 504})
"""Answers of a service, or of a proxy before it, that is busy or away."""
_REFUSED = frozenset({429, 503})
"""Of these nothing was done: any request may be sent again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a request that fails is sent again; raises ValueError for a negative number.

    Pauses double from `first` to `longest` seconds, each by chance between half of it and all of it, so that many
    who were refused together do not come back together. The service may ask for longer ones (Retry-After).
    """

    tries: int = 8
    first: float = 0.25
    longest: float = 30.0
    chance: random.Random = field(default_factory=random.Random, compare=False)

    def __post_init__(self) -> None:
        if self.tries < 1 or self.first < 0 or self.longest < 0:
            raise ValueError(f"patience: {self.tries} tries, {self.first} to {self.longest} s make no sense")

    def pause(self, failures: int, asked: float = 0.0) -> float:
        """Return how many seconds to wait after so many failures in a row; `asked` is what the service wants."""
        wanted = min(self.first * 2.0 ** min(failures - 1, 60), self.longest)
        return max(wanted * self.chance.uniform(0.5, 1.0), min(asked, self.longest))


def patiently(plan: Plan[Result], patience: Patience) -> Steps[Result]:
    """Carry out an operation, each of its calls as often as patience lasts.

    Raises RemoteError for what can't be had: no answer, or one that says no.
    """
    try:
        call = next(plan)
        while True:
            call = plan.send((yield from _answered(call, patience)))
    except StopIteration as end:
        result: Result = end.value
        return result


def _answered(call: Call, patience: Patience) -> Steps[Answer]:
    for failures in range(1, patience.tries + 1):
        outcome = yield call
        if isinstance(outcome, Answer) and outcome.status not in LATER:
            return checked(call, outcome)
        assert isinstance(outcome, Answer | Failure)  # noqa: S101  (whoever carries out a call has one of them)
        if failures == patience.tries or not _may_repeat(call, outcome):
            raise refusal(call, outcome)
        yield Pause(patience.pause(failures, asked_pause(outcome)))
    raise AssertionError("unreachable: there is at least one try")


def checked(call: Call, answer: Answer) -> Answer:
    """Return an answer; raises RemoteError if it says no."""
    if answer.status >= 400:
        raise refusal(call, answer)
    return answer


def asked_pause(outcome: Answer | Failure) -> float:
    """Return the seconds after which the service wants to be asked again, or 0."""
    text = outcome.headers.get("retry-after", "") if isinstance(outcome, Answer) else ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0.0


def refusal(call: Call, outcome: Answer | Failure) -> RemoteError:
    """Return the error that says why there is no answer to a call, or why it is no."""
    if isinstance(outcome, Failure):
        return RemoteError(f"{call.method} {call.path}: {outcome.reason}; is the service running there?")
    try:
        problem = json.loads(outcome.content)
    except ValueError:
        problem = None
    problem = problem if isinstance(problem, dict) else {}
    why = problem.get("detail") or problem.get("title") or outcome.content[:200].decode(errors="replace")
    return RemoteError(f"{call.method} {call.path}: answered {outcome.status}: {why}", outcome.status, problem)


def _may_repeat(call: Call, outcome: Answer | Failure) -> bool:
    return call.repeatable or (isinstance(outcome, Answer) and outcome.status in _REFUSED)
