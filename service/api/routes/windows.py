"""Windows: traffic comes in here, as counts or as a capture."""

import pathlib
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from service.api.answers import CaptureAccepted, WindowAccepted, WindowOut
from service.api.body import check_encoding, media_type, read_body, refuse_type, spool_body
from service.api.ingest import Ingest
from service.api.links import ALERTS, PATTERNS, WINDOWS, references
from service.api.problems import problem_responses
from service.api.schemas import WindowIn
from service.api.spec import ApiSpec
from service.api.strict_json import parse_json, validated
from service.api.window_page import window_page
from service.errors import CaptureError, NotFoundError
from service.receipts import CaptureReceipt, Receipt
from service.store.repository import Store
from service.windows.posted import check_sensor, posted_window

JSON = "application/json"
CAPTURES = ("application/vnd.tcpdump.pcap", "application/x-pcapng", "application/vnd.tcpdump.pcapng")

MAX_ROWS_SHOWN = 10_000

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/WindowIn"}},
            **{kind: {"schema": {"type": "string", "format": "binary"}} for kind in CAPTURES},
        },
    }
}


class WindowRoutes:
    """Takes windows in and shows them."""

    def __init__(self, spec: ApiSpec, ingest: Ingest, store: Store) -> None:
        self._spec = spec
        self._ingest = ingest
        self._store = store

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix=WINDOWS, tags=["windows"])
        router.add_api_route(
            "",
            self.accept,
            methods=["POST"],
            summary="Take in a window of counts, or a capture",
            status_code=HTTPStatus.CREATED,
            response_description="Taken in; Location leads to the window, or the first window of a capture",
            responses={
                200: {
                    "model": WindowAccepted | CaptureAccepted,
                    "description": "All of it was accepted before: the first answer again",
                },
                **problem_responses(
                    HTTPStatus.BAD_REQUEST,
                    HTTPStatus.CONFLICT,
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    HTTPStatus.SERVICE_UNAVAILABLE,
                ),
            },
            openapi_extra=_BODY,
        )
        router.add_api_route(
            "/{window_id}",
            self.show,
            summary="Show a window",
            responses=problem_responses(
                HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.SERVICE_UNAVAILABLE
            ),
        )
        return router

    async def accept(
        self,
        request: Request,
        response: Response,
        sensor: Annotated[
            str, Query(description="Where a capture was taken; counts say it themselves")
        ] = "default",
    ) -> WindowAccepted | CaptureAccepted:
        """Take in the counts of one window (JSON), or a capture (pcap or pcapng; plain, gzip or zstd).

        The answer names what was found. The same window again gets the same answer with status 200; a window
        of the same sensor, start and length with other content is refused. Nothing is stored of a
        window that is refused.
        """
        kind = media_type(request)
        if kind == JSON:
            check_encoding(request, ("identity",))
            body = await read_body(request, self._spec.max_json_bytes)
            receipt = await run_in_threadpool(self._accept_counts, body)
            _announce(response, (receipt,))
            return _accepted(receipt)
        if kind in CAPTURES:
            check_encoding(request, ("identity", "gzip"))
            check_sensor(sensor)
            limit, folder = self._spec.max_capture_bytes, self._spec.upload_folder
            async with spool_body(request, limit, folder) as path:
                read = await run_in_threadpool(self._accept_capture, path, sensor)
            _announce(response, read.windows)
            return _capture_accepted(read)
        raise refuse_type(kind, (JSON, *CAPTURES))

    def show(
        self,
        window_id: Annotated[str, Path(description="Id of the window", examples=["w0123456789abcdef0123"])],
        rows: Annotated[int, Query(ge=0, le=MAX_ROWS_SHOWN, description="Rows to list")] = 1000,
        offset: Annotated[int, Query(ge=0, le=10**9, description="Rows to leave out before")] = 0,
    ) -> WindowOut:
        """Show a window, some of its rows, and the totals of the sources of these rows."""
        with self._store.read() as reader:
            record = reader.window(window_id)
        if record is None:
            raise NotFoundError("window: none has this id; POST /v1/windows answers with ids")
        return window_page(record, offset, rows)

    def _accept_counts(self, body: bytes) -> Receipt:
        window = self._parse(body)
        counts = posted_window(
            window.sensor,
            window.start,
            window.end,
            [row.posted() for row in window.rows],
            [totals.posted() for totals in window.sources],
        )
        return self._ingest.accept(counts)

    def _parse(self, body: bytes) -> WindowIn:
        document = parse_json(body)
        for field in ("rows", "sources"):
            listed = document.get(field) if isinstance(document, dict) else None
            if isinstance(listed, list) and len(listed) > self._spec.max_rows:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"{field}: {len(listed)} are more than {self._spec.max_rows}; send shorter windows",
                )
        return validated(WindowIn, document)

    def _accept_capture(self, path: pathlib.Path, sensor: str) -> CaptureReceipt:
        try:
            return self._ingest.accept_capture(path, sensor)
        except CaptureError as error:
            # The file has a name on this machine only.
            raise CaptureError(str(error).replace(str(path), "body")) from error


def _announce(response: Response, receipts: tuple[Receipt, ...]) -> None:
    """Set the status of the answer, and the Location of the first window."""
    if receipts and all(receipt.repeated for receipt in receipts):
        response.status_code = HTTPStatus.OK
    elif receipts:
        response.headers["Location"] = f"{WINDOWS}/{receipts[0].window_id}"


def _accepted(receipt: Receipt) -> WindowAccepted:
    return WindowAccepted(
        id=receipt.window_id,
        url=f"{WINDOWS}/{receipt.window_id}",
        patterns=references(PATTERNS, receipt.patterns),
        alerts=references(ALERTS, receipt.alerts),
    )


def _capture_accepted(read: CaptureReceipt) -> CaptureAccepted:
    return CaptureAccepted(
        windows=[_accepted(receipt) for receipt in read.windows],
        packets=read.packets,
        attempts=read.attempts,
        unparsed=dict(read.unparsed),
        damage=read.damage,
    )
