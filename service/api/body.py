"""Request bodies, read and unpacked piece by piece, and never beyond their bound."""

from __future__ import annotations

import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from service.api.packing import CODINGS, Unpacker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from starlette.requests import Request

    from service.api.body_room import Portion


_LONGEST_LENGTH = 18
"""Digits: more than any length that could be allowed, and that Python likes to convert."""
_OVERLOOKED = 16 << 20
"""Unpacked bytes up to which it does not matter how much packed ones hold."""
_MOST_RATIO = 100
"""Unpacked bytes for each packed one. Logs and windows have some 20; so bodies that are bombs are not stored."""

CODING: dict[str, Any] = {
    "name": "Content-Encoding",
    "in": "header",
    "description": "How the body is packed, if it is; its bounds are those of what is unpacked, too",
    "schema": {"type": "string", "enum": [*CODINGS]},
}
"""The OpenAPI description of a body that may be packed."""


def media_type(request: Request) -> str:
    """Return the type that the request claims for its body, without parameters, or ''.

    Raises HTTPException 415 for text that is not UTF-8.
    """
    kind, *parameters = request.headers.get("content-type", "").lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the charset is not UTF-8; send UTF-8")
    return kind.strip()


def refuse_type(claimed: str, accepted: Iterable[str]) -> HTTPException:
    """Return the 415 that lists what is accepted."""
    listed = ", ".join(accepted)
    said = f"{claimed[:64]!r} is not accepted" if claimed else "the request has no Content-Type"
    return HTTPException(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"{said}; send one of {listed}", {"Accept-Post": listed}
    )


def coding(request: Request) -> str | None:
    """Return how the body is packed, one of `CODINGS`, or None; raises HTTPException 415 for any other way."""
    encoding = ", ".join(request.headers.getlist("content-encoding") or ["identity"]).strip().lower()
    # The old name means the same (RFC 9110, 8.4.1.3).
    encoding = "gzip" if encoding == "x-gzip" else encoding
    if encoding == "identity":
        return None
    if encoding in CODINGS:
        return encoding
    listed = ", ".join(CODINGS)
    raise HTTPException(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"Content-Encoding {encoding[:64]!r} is not accepted; send one of {listed}, or the body as it is",
        {"Accept-Encoding": listed},
    )


async def read_body(request: Request, limit: int, portion: Portion | None = None) -> bytes:
    """Return the unpacked body; raises as `pieces` does, and BusyError if there is no room for it."""
    if portion is not None and (declared := _declared(request)) <= limit:
        # What the header says is a hint: enough to refuse a body that would not be read to its end.
        portion.check(declared)
    return await joined(pieces(request, limit), limit, portion)


async def joined(body: AsyncIterator[bytes], limit: int, portion: Portion | None = None) -> bytes:
    """Return all of a body, which takes a portion of the room that bodies have.

    Raises HTTPException 413 as soon as it has more than `limit` bytes, and BusyError if there is no room for it.
    """
    found, size = [], 0
    async for piece in body:
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        if portion is not None:
            portion.more(len(piece))
        found.append(piece)
    return b"".join(found)


async def put_before(head: bytes, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the beginning of a body that was read already, and the rest."""
    yield head
    async for piece in body:
        yield piece


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it comes, unpacked.

    Raises HTTPException 413 as soon as it has more than `limit` bytes, packed or not, 400 where what is packed is
    damaged or cut off, and 415 as `coding` does.
    """
    packed = coding(request)
    arriving = _arriving(request, limit)
    async for piece in arriving if packed is None else _unpacked(arriving, packed, limit):
        yield piece


async def _unpacked(arriving: AsyncIterator[bytes], packed: str, limit: int) -> AsyncIterator[bytes]:
    unpacker, size = Unpacker(packed), 0
    async for data in arriving:
        unpacker.feed(data)
        # A thread, for a short body may be long when it is unpacked.
        while piece := await run_in_threadpool(unpacker.take):
            size += len(piece)
            if size > limit:
                raise _too_large(limit, "unpacked ")
            if size > _OVERLOOKED and size > _MOST_RATIO * unpacker.seen:
                raise _too_packed()
            yield piece
    unpacker.finish()


async def _arriving(request: Request, limit: int) -> AsyncIterator[bytes]:
    if _declared(request) > limit:
        raise _too_large(limit)
    size = 0
    # What the header says is a hint; what arrives counts.
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        yield piece


def _too_packed() -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body unpacks to more than {_MOST_RATIO} times its size; send it as it is, or less packed",
        {"Connection": "close"},
    )


def _declared(request: Request) -> int:
    """Return how long the body is to be, as its head says; 0 if it does not."""
    declared = request.headers.get("content-length", "")
    if len(declared) > _LONGEST_LENGTH:
        return sys.maxsize
    return int(declared) if declared.isascii() and declared.isdigit() else 0


def _too_large(limit: int, which: str = "") -> HTTPException:
    # The rest of the body is still on its way: without this, the server would read all of it.
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has more than {limit} {which}bytes; send shorter windows or parts of the capture",
        {"Connection": "close"},
    )
