"""Bodies that hold windows: one as JSON, one as sensors send it, or one a line (NDJSON)."""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from service.api.fast_window import read_usual_window
from service.api.schemas import RowIn, WindowIn
from service.api.strict_json import parse_json, validated
from service.capture.logs import suricata, zeek
from service.errors import InputError, WindowConflictError
from service.windows.posted import posted_window
from service.windows.wire import WireLimits, read_window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from service.windows.counts import WindowCounts

MOST_LINES = 1440
"""Windows that come in one body: those of a day, a minute each."""

_MOST_BREAKS = 1 << 16
"""Lines, empty ones with them."""
_FEW = 10_000
"""Brackets that may stand in texts, beside those of a window."""
_LOOKED_AT = 1000
"""Rows, more than anybody is told of."""
_ROWS = TypeAdapter(list[RowIn])

_HEAD = 1 << 16
"""Bytes by which a log is told from windows."""
_UNPACKED = 16
"""How many times larger than its body a sensor's window may be."""


def read_counts(body: bytes, max_rows: int) -> WindowCounts:
    """Return the window of a JSON text.

    Raises HTTPException 400 for what is no JSON and 413 for too many rows, RequestValidationError and InputError
    for what makes no sense; both name the field.
    """
    return read_usual_window(body, max_rows) or read_any_window(body, max_rows)


def read_any_window(body: bytes, max_rows: int) -> WindowCounts:
    """Return what `read_counts` does, more slowly, and say what is wrong."""
    window = _parse(body, max_rows)
    return posted_window(
        window.sensor,
        window.start,
        window.end,
        [row.posted() for row in window.rows],
        [totals.posted() for totals in window.sources],
    )


def read_document(body: bytes, max_rows: int, max_bytes: int) -> WindowCounts:
    """Return what a sensor sends: a window, or a look at one that is still open; raises InputError.

    `max_bytes` is how long a body may be.
    """
    return read_window(body, WireLimits(rows=max_rows, bytes=_UNPACKED * max_bytes))


def read_lines(body: bytes, max_rows: int, check: Callable[[WindowCounts], None]) -> dict[int, WindowCounts]:
    """Return the windows of NDJSON by the numbers of their lines, from 1; empty lines are none.

    Raises as `read_counts` does, with the number of the line, and HTTPException 400 without any window, 413 for too
    many; `check` may refuse a window as well.
    """
    found: dict[int, WindowCounts] = {}
    if body.count(b"\n") > _MOST_BREAKS:
        detail = f"the body has more than {_MOST_BREAKS} lines; leave out empty ones"
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line or line.isspace():
            continue
        if len(found) == MOST_LINES:
            detail = f"line {number}: more than {MOST_LINES} windows come together; send the rest by itself"
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        with at_line(number):
            found[number] = read_counts(line.rstrip(b"\r"), max_rows)
            check(found[number])
    if not found:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the body has no line; send a window in each")
    return found


@contextmanager
def at_line(number: int) -> Iterator[None]:
    """Let what is wrong with a line say which one it is."""
    try:
        yield
    except HTTPException as error:
        detail = f"line {number}: {error.detail.removeprefix('the body ')}"
        raise HTTPException(error.status_code, detail, error.headers) from error
    except InputError as error:
        wrong = {"type": "value_error", "loc": ("body", error.field), "msg": error.message}
        raise RequestValidationError([wrong | {"line": number}]) from error
    except RequestValidationError as error:
        raise RequestValidationError([{**item, "line": number} for item in error.errors()]) from error
    except WindowConflictError as error:
        raise WindowConflictError(f"line {number}: {error}") from error


async def first_line(body: AsyncIterator[bytes]) -> bytes:
    """Return the beginning of a body: at least its first line that is not empty, as far as 64 KiB hold it."""
    found, size, begun = [], 0, False
    async for piece in body:
        found.append(piece)
        size += len(piece)
        line = piece if begun else piece.lstrip()
        begun = bool(line)
        if b"\n" in line or size >= _HEAD:
            break
    return b"".join(found)


def is_log(head: bytes) -> bool:
    """Tell by the first line that is not empty whether NDJSON is a log of Zeek or Suricata; else it is windows."""
    line = head.lstrip()[:_HEAD].partition(b"\n")[0]
    return zeek.recognise(line) or suricata.recognise(line)


def _parse(body: bytes, max_rows: int) -> WindowIn:
    _check_extent(body, max_rows)
    document = parse_json(body)
    for field in ("rows", "sources"):
        listed = document.get(field) if isinstance(document, dict) else None
        if isinstance(listed, list) and len(listed) > max_rows:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{field}: {len(listed)} are more than {max_rows}; send shorter windows",
            )
    _check_first(document)
    return validated(WindowIn, document)


def _check_extent(body: bytes, max_rows: int) -> None:
    """Raise HTTPException for a text of more values than a window may have: reading them would take a while."""
    if body.count(b"{") > 2 * max_rows + _FEW:
        detail = f"the body holds more objects than {max_rows} rows and as many sources; send shorter windows"
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    if body.count(b"[") > _FEW:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"the body holds more than {_FEW} lists; a window has two")


def _check_first(document: object) -> None:
    """Raise RequestValidationError if rows are wrong, of some that are looked at together: not of all at once.

    What is wrong with each of 200,000 rows takes longer to say than anybody reads.
    """
    rows = document.get("rows") if isinstance(document, dict) else None
    rows = rows if isinstance(rows, list) else []
    for start in range(0, len(rows), _LOOKED_AT):
        try:
            _ROWS.validate_python(rows[start : start + _LOOKED_AT])
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            places = [("body", "rows", start + int(item["loc"][0]), *item["loc"][1:]) for item in found]
            raise RequestValidationError(
                [{**item, "loc": place} for item, place in zip(found, places, strict=True)]
            ) from error
