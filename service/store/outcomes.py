"""What became of a job, as a row's text and back."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from service.errors import StoreError
from service.receipts import CaptureReceipt, Outcome, Receipt, Refusal


class _OfWindow(BaseModel):
    kind: Literal["window"] = "window"
    told: Receipt


class _OfUpload(BaseModel):
    kind: Literal["upload"] = "upload"
    told: CaptureReceipt


class _Refused(BaseModel):
    kind: Literal["refused"] = "refused"
    told: Refusal


class _Written(BaseModel):
    outcome: _OfWindow | _OfUpload | _Refused = Field(discriminator="kind")


_WRITTEN = TypeAdapter(_Written)


def write_outcome(outcome: Outcome) -> str:
    """Return an outcome as a text."""
    if isinstance(outcome, Receipt):
        return _Written(outcome=_OfWindow(told=outcome)).model_dump_json()
    if isinstance(outcome, CaptureReceipt):
        return _Written(outcome=_OfUpload(told=outcome)).model_dump_json()
    return _Written(outcome=_Refused(told=outcome)).model_dump_json()


def read_outcome(text: str) -> Outcome:
    """Return the outcome of a text; raises StoreError if it holds none."""
    try:
        return _WRITTEN.validate_json(text).outcome.told
    except ValidationError as error:
        raise StoreError(f"a stored outcome is damaged ({error}); restore a backup") from error
