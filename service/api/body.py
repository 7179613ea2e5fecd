"""Request bodies, read piece by piece and never beyond their bound."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from starlette.requests import Request


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


def check_encoding(request: Request, accepted: tuple[str, ...]) -> None:
    """Raise HTTPException 415 if the body is packed in a way that is not accepted."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in accepted:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"Content-Encoding {encoding[:64]!r} is not accepted here; send the body as it is",
            {"Accept-Encoding": ", ".join(accepted)},
        )


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body; raises HTTPException 413 as soon as it has more than `limit` bytes."""
    return b"".join([piece async for piece in pieces(request, limit)])


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it comes; raises HTTPException 413 as `read_body` does."""
    declared = request.headers.get("content-length", "")
    # Longer than any length that could be allowed, and than Python likes to convert.
    absurd = len(declared) > 19
    if absurd or (declared.isascii() and declared.isdigit() and int(declared) > limit):
        raise _too_large(limit)
    size = 0
    # What the header says is a hint; what arrives counts.
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        yield piece


def _too_large(limit: int) -> HTTPException:
    # The rest of the body is still on its way: without this, the server would read all of it.
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body has more than {limit} bytes; send shorter windows or parts of the capture",
        {"Connection": "close"},
    )
