"""What is said of work that was accepted."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn

from pydantic import BaseModel

from service.api import examples
from service.api.answers import CaptureAccepted, WindowAccepted
from service.api.links import ALERTS, JOBS, PATTERNS, WINDOWS, references
from service.api.problems import FieldError, Problem
from service.api.schemas import config
from service.errors import CaptureError, InputError, WindowConflictError
from service.receipts import CaptureReceipt, Reason, Receipt, Refusal

if TYPE_CHECKING:
    from service.store.jobs import Job

_STATUSES = {
    Reason.CONFLICT: HTTPStatus.CONFLICT,
    Reason.INPUT: HTTPStatus.UNPROCESSABLE_ENTITY,
    Reason.CAPTURE: HTTPStatus.BAD_REQUEST,
    Reason.CRASHED: HTTPStatus.UNPROCESSABLE_ENTITY,
}


class JobOut(BaseModel):
    """Work that was accepted: it is stored, and will be done once."""

    model_config = config(
        examples.JOB | {"state": "done", "receipt": examples.ACCEPTED},
        examples.JOB | {"state": "waiting"},
    )

    id: str
    url: str
    """Where to see how far it is."""
    window: str | None
    """Id of the window, or null for a capture: its receipt names them."""
    window_url: str | None
    """Where the window will be."""
    state: str
    """waiting, done or failed."""
    receipt: WindowAccepted | CaptureAccepted | None = None
    """What was found, once it is done."""
    problem: Problem | None = None
    """Why it failed, if it did."""


class JobList(BaseModel):
    """Windows that came together, in the order of their lines: they are stored, and each will be done once."""

    model_config = config({"jobs": [examples.JOB | {"state": "waiting"}]})

    jobs: list[JobOut]


def job_document(job: Job) -> JobOut:
    """Return what is said of a job."""
    outcome = job.outcome
    return JobOut(
        id=job.id,
        url=f"{JOBS}/{job.id}",
        window=job.window,
        window_url=None if job.window is None else f"{WINDOWS}/{job.window}",
        state=job.state.value,
        receipt=None if outcome is None or isinstance(outcome, Refusal) else receipt_document(outcome),
        problem=_problem(job, outcome) if isinstance(outcome, Refusal) else None,
    )


def receipt_document(receipt: Receipt | CaptureReceipt) -> WindowAccepted | CaptureAccepted:
    """Return what is said to whoever brought traffic that is taken in."""
    if isinstance(receipt, Receipt):
        return _accepted(receipt)
    return CaptureAccepted(
        windows=[_accepted(window) for window in receipt.windows],
        packets=receipt.packets,
        flows=receipt.flows,
        attempts=receipt.attempts,
        unparsed=dict(receipt.unparsed),
        tunnelled=dict(receipt.tunnelled),
        damage=receipt.damage,
    )


def windows_of(receipt: Receipt | CaptureReceipt) -> tuple[Receipt, ...]:
    """Return the receipts of all windows, in order."""
    return (receipt,) if isinstance(receipt, Receipt) else receipt.windows


def refuse(refusal: Refusal) -> NoReturn:
    """Raise what the request would have met if it had been done at once."""
    if refusal.reason is Reason.CONFLICT:
        raise WindowConflictError(refusal.message)
    if refusal.reason is Reason.CAPTURE:
        raise CaptureError(refusal.message)
    raise InputError(refusal.field, refusal.message)


def _accepted(receipt: Receipt) -> WindowAccepted:
    return WindowAccepted(
        id=receipt.window_id,
        url=f"{WINDOWS}/{receipt.window_id}",
        patterns=references(PATTERNS, receipt.patterns),
        alerts=references(ALERTS, receipt.alerts),
    )


def _problem(job: Job, refusal: Refusal) -> Problem:
    status = _STATUSES[refusal.reason]
    named = status == HTTPStatus.UNPROCESSABLE_ENTITY
    return Problem(
        type="about:blank",
        title=status.phrase,
        status=int(status),
        detail=f"{refusal.field}: {refusal.message}" if named else refusal.message,
        instance=f"{JOBS}/{job.id}",
        errors=[FieldError(field=refusal.field, message=refusal.message)] if named else None,
    )
