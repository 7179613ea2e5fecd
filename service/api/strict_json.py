"""JSON without the liberties that Python's reader takes."""

from __future__ import annotations

import json
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NoReturn, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

Model = TypeVar("Model", bound=BaseModel)

# The longest number that means anything here: 19 digits, a point, 9 decimals, and room for an exponent.
_LONGEST_NUMBER = 40
_MOST_KEYS = 100
"""Of one object: each that is unknown is told of."""


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text (RFC 8259); numbers with a point or exponent become Decimal.

    Raises HTTPException 400 for text that is not UTF-8, not JSON, nested too deeply, says NaN or Infinity,
    has a number of absurd length, or an object with a key twice or with very many keys.
    """
    try:
        return json.loads(
            body.decode(),
            parse_float=_parse_decimal,
            parse_int=_parse_int,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
    except UnicodeDecodeError as error:
        _refuse(f"the body is not UTF-8: byte {error.start} is {body[error.start]:#04x}")
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if b"\n" in body else ""
        _refuse(f"the body is not JSON: {error.msg} at {line}column {error.colno}")
    except RecursionError:
        _refuse("the body is nested too deeply; a window has four levels")


def validated(model: type[Model], document: object) -> Model:
    """Return a document as a model; raises RequestValidationError, which names the faulty fields of the body."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in found]) from error


def _refuse(detail: str) -> NoReturn:
    raise HTTPException(HTTPStatus.BAD_REQUEST, detail)


def _refuse_constant(name: str) -> NoReturn:
    """Raise HTTPException 400 for what JSON does not have, such as NaN."""
    _refuse(f"the body holds {name}, which JSON does not have; write a number")


def _parse_int(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:
        _refuse(f"the body holds a number of {len(digits)} digits; no count is that large")
    return int(digits)


def _parse_decimal(digits: str) -> Decimal:
    """Return a number with a point or exponent; raises HTTPException 400 for an absurd one."""
    if len(digits) > _LONGEST_NUMBER:
        _refuse(f"the body holds a number of {len(digits)} characters; {_LONGEST_NUMBER} are enough")
    try:
        return Decimal(digits)
    except ArithmeticError:
        _refuse(f"the body holds the number {digits}, which is out of range")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MOST_KEYS:
        _refuse(f"the body holds an object of {len(pairs)} fields; none has more than {_MOST_KEYS}")
    value: dict[str, Any] = {}
    for key, item in pairs:
        if key in value:
            _refuse(f"the body holds an object with the key {key[:64]!r} twice; leave one out")
        value[key] = item
    return value
