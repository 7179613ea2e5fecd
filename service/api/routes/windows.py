"""Windows: traffic comes in here, as counts or as a capture."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from service.api.access import ANYBODY, Visitor
from service.api.answers import CaptureAccepted, WindowAccepted, WindowOut
from service.api.body import check_encoding, media_type, pieces, read_body, refuse_type
from service.api.fast_window import read_usual_window
from service.api.ingest import Ingest
from service.api.job_answers import JobOut, job_document, receipt_document, refuse, windows_of
from service.api.links import JOBS, WINDOWS
from service.api.prefer import LONGEST_WAIT, preferred_wait
from service.api.problems import problem_responses
from service.api.schemas import WindowIn
from service.api.spec import ApiSpec
from service.api.strict_json import parse_json, validated
from service.api.window_page import window_page
from service.errors import NotFoundError
from service.receipts import Refusal
from service.store.jobs import Added, Job, JobState
from service.store.repository import Store
from service.windows.counts import WindowCounts
from service.windows.posted import check_sensor, posted_window
from service.windows.wire import MEDIA_TYPE as DOCUMENT
from service.windows.wire import WireLimits, read_window

JSON = "application/json"
LOGS = ("text/csv", "text/tab-separated-values", "text/plain", "application/x-ndjson")
"""Of flows: Zeek, Suricata, nfdump, Argus, AWS VPC, or with named columns: their first lines show which."""
PACKED = ("application/gzip", "application/zstd")
_UNPACKED = 16
"""How many times larger than its body a sensor's window may be."""
CAPTURES = ("application/vnd.tcpdump.pcap", "application/x-pcapng", "application/vnd.tcpdump.pcapng")

MAX_ROWS_SHOWN = 10_000

# Between two looks at a job that is waited for; each is half as long again as the one before.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2

Take = Callable[[Request, str], Awaitable[Added]]

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/WindowIn"}},
            **{
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in (DOCUMENT, *CAPTURES, *LOGS, *PACKED)
            },
        },
    },
    "parameters": [
        {
            "name": "Prefer",
            "in": "header",
            "description": f"`wait=N`: answer when it is done, or after N s, at most {LONGEST_WAIT} (RFC 7240)",
            "schema": {"type": "string", "examples": ["wait=30"]},
        }
    ],
}


class WindowRoutes:
    """Takes windows in and shows them."""

    def __init__(self, spec: ApiSpec, ingest: Ingest, store: Store) -> None:
        self._spec = spec
        self._ingest = ingest
        self._store = store
        self._takes: dict[str, Take] = {
            JSON: self._take_json,
            DOCUMENT: self._take_document,
            **dict.fromkeys((*CAPTURES, *LOGS, *PACKED), self._take_capture),
        }
        """How each type of body is taken in."""

    def router(self) -> APIRouter:
        """Return the routes."""
        router = APIRouter(prefix=WINDOWS, tags=["windows"])
        router.add_api_route(
            "",
            self.accept,
            methods=["POST"],
            summary="Take in a window of counts, or a capture",
            status_code=HTTPStatus.ACCEPTED,
            response_description="Stored, and waits to be done; Location leads to the job",
            responses={
                200: {
                    "model": WindowAccepted | CaptureAccepted | JobOut,
                    "description": "All of it was accepted before: the first answer again",
                },
                201: {
                    "model": WindowAccepted | CaptureAccepted,
                    "description": "Done, for a client that waits; Location leads to the first window",
                },
                **problem_responses(
                    HTTPStatus.BAD_REQUEST,
                    HTTPStatus.CONFLICT,
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    HTTPStatus.TOO_MANY_REQUESTS,
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
    ) -> JobOut | WindowAccepted | CaptureAccepted:
        """Take in the counts of one window (JSON, or as sensors send it), a capture, or a log of flows.

        A capture is pcap or pcapng, a log what `yocho scan` reads; either may be packed with gzip or zstd.

        What is answered with 202 is stored, and will be done once, in the order in which a sensor sends it. With
        `Prefer: wait=N` the answer waits until then, and names what was found. The same window again gets
        the first answer with status 200; a window of the same sensor, start and length with other content is
        refused. Nothing is stored of a window that is refused.
        """
        take = self._takes.get(media_type(request))
        if take is None:
            raise refuse_type(media_type(request), self._takes)
        seconds = preferred_wait(request)
        added = await take(request, sensor)
        job = added.job
        if seconds is not None:
            response.headers["Preference-Applied"] = f"wait={seconds}"
            job = await self._waited(job, seconds)
            if job.state is not JobState.WAITING:
                return _outcome(response, job, repeated=added.repeated)
        if added.repeated:
            response.status_code = HTTPStatus.OK
        else:
            response.headers["Location"] = f"{JOBS}/{job.id}"
        return job_document(job)

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
        if not record.kept:
            raise NotFoundError(
                "window: its counts are no longer kept; YOCHO_KEEP_COUNTS_DAYS says for how long they are"
            )
        return window_page(record, offset, rows)

    async def _take_json(self, request: Request, _sensor: str) -> Added:
        check_encoding(request, ("identity",))
        await run_in_threadpool(self._ingest.check_room)
        body = await read_body(request, self._spec.max_json_bytes)
        return await run_in_threadpool(self._accept_counts, body, _visitor(request))

    async def _take_document(self, request: Request, _sensor: str) -> Added:
        """Take in what a sensor sends: a window, or a look at one that is still open."""
        check_encoding(request, ("identity",))
        await run_in_threadpool(self._ingest.check_room)
        body = await read_body(request, self._spec.max_json_bytes)
        return await run_in_threadpool(self._accept_document, body, _visitor(request))

    async def _take_capture(self, request: Request, sensor: str) -> Added:
        check_encoding(request, ("identity", "gzip"))
        check_sensor(sensor)
        _visitor(request).check_sensor(sensor)
        upload = await run_in_threadpool(self._ingest.upload, sensor)
        try:
            async for piece in pieces(request, self._spec.max_capture_bytes):
                await run_in_threadpool(upload.write, piece)
            return await run_in_threadpool(upload.finish)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(upload.drop)
            raise

    async def _waited(self, job: Job, seconds: int) -> Job:
        """Return a job when it is done, or after so many seconds."""
        end, pause = time.monotonic() + seconds, _FIRST_PAUSE
        while job.state is JobState.WAITING:
            found = await run_in_threadpool(self._ingest.job, job.id)
            job = job if found is None else found
            left = end - time.monotonic()
            if job.state is not JobState.WAITING or left <= 0:
                break
            await anyio.sleep(min(pause, left))
            pause = min(1.5 * pause, _LONGEST_PAUSE)
        return job

    def _accept_counts(self, body: bytes, visitor: Visitor) -> Added:
        counts = read_usual_window(body, self._spec.max_rows) or self._read_window(body)
        visitor.check_sensor(counts.sensor)
        return self._ingest.add_window(counts)

    def _accept_document(self, body: bytes, visitor: Visitor) -> Added:
        limits = WireLimits(rows=self._spec.max_rows, bytes=_UNPACKED * self._spec.max_json_bytes)
        counts = read_window(body, limits)
        visitor.check_sensor(counts.sensor)
        return self._ingest.add_window(counts)

    def _read_window(self, body: bytes) -> WindowCounts:
        window = self._parse(body)
        return posted_window(
            window.sensor,
            window.start,
            window.end,
            [row.posted() for row in window.rows],
            [totals.posted() for totals in window.sources],
        )

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


def _visitor(request: Request) -> Visitor:
    """Return who asks: anybody, where nobody is asked for a token."""
    visitor: Visitor = getattr(request.state, "visitor", None) or Visitor(ANYBODY, None)
    return visitor


def _outcome(response: Response, job: Job, *, repeated: bool) -> WindowAccepted | CaptureAccepted:
    """Return the receipt of a job that is done, with status and Location; raises why it failed."""
    outcome = job.outcome
    if isinstance(outcome, Refusal):
        refuse(outcome)
    assert outcome is not None  # noqa: S101  (of a job that is done there is one)
    windows = windows_of(outcome)
    if repeated or (windows and all(window.repeated for window in windows)):
        response.status_code = HTTPStatus.OK
    else:
        response.status_code = HTTPStatus.CREATED
        if windows:
            response.headers["Location"] = f"{WINDOWS}/{windows[0].window_id}"
    return receipt_document(outcome)
