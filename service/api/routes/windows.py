"""Windows: traffic comes in here, as counts or as a capture."""

import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from service.api import examples
from service.api.access import Visitor, sender_of, visitor_of
from service.api.answers import CaptureAccepted, WindowAccepted, WindowOut
from service.api.body import CODING, coding, joined, media_type, pieces, put_before, read_body, refuse_type
from service.api.body_room import BodyRoom, Portion
from service.api.ingest import Ingest
from service.api.job_answers import JobList, JobOut, job_document, receipt_document, refuse, windows_of
from service.api.links import JOBS, WINDOWS
from service.api.prefer import LONGEST_WAIT, preferred_wait
from service.api.problems import problem_responses
from service.api.spec import ApiSpec
from service.api.window_bodies import (
    MOST_LINES,
    at_line,
    first_line,
    is_log,
    read_counts,
    read_document,
    read_lines,
)
from service.api.window_page import window_page
from service.errors import NotFoundError, WindowConflictError
from service.receipts import Refusal
from service.store.jobs import PART_BYTES, Added, Job, JobState
from service.store.repository import Store
from service.windows.counts import WindowCounts
from service.windows.posted import check_sensor
from service.windows.wire import MEDIA_TYPE as DOCUMENT

JSON = "application/json"
LINES = "application/x-ndjson"
"""Windows, or a log of Zeek or Suricata: the first line shows which."""
LOGS = ("text/csv", "text/tab-separated-values", "text/plain")
"""Of flows: Zeek, Suricata, nfdump, Argus, AWS VPC, or with named columns: their first lines show which."""
PACKED = ("application/gzip", "application/zstd")
"""A capture or a log."""
CAPTURES = ("application/vnd.tcpdump.pcap", "application/x-pcapng", "application/vnd.tcpdump.pcapng")

MAX_ROWS_SHOWN = 10_000

_READ_AT_ONCE = 3
"""Bodies that are read at the same time, one more than large ones: a short one has not to wait for those."""

# Between two looks at a job that is waited for; each is half as long again as the one before.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2

Taken = Added | Sequence[Added]
"""What one body brought: a job, or windows that came together."""
Take = Callable[[Request, str], Awaitable[Taken]]

_LINES_SCHEMA: dict[str, Any] = {
    "type": "string",
    "description": f"A WindowIn in each line, at most {MOST_LINES}; or a log",
    "examples": ["".join(json.dumps(examples.WINDOW | {"sensor": name}) + "\n" for name in ("edge", "lab"))],
}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"$ref": "#/components/schemas/WindowIn"}},
            LINES: {"schema": _LINES_SCHEMA},
            **{
                kind: {"schema": {"type": "string", "format": "binary"}}
                for kind in (DOCUMENT, *CAPTURES, *LOGS, *PACKED)
            },
        },
    },
    "parameters": [
        CODING,
        {
            "name": "Prefer",
            "in": "header",
            "description": f"`wait=N`: answer when it is done, or after N s, at most {LONGEST_WAIT} (RFC 7240)",
            "schema": {"type": "string", "examples": ["wait=30"]},
        },
    ],
}


class WindowRoutes:
    """Takes windows in and shows them."""

    def __init__(self, spec: ApiSpec, ingest: Ingest, store: Store, bodies: BodyRoom) -> None:
        self._spec = spec
        self._bodies = bodies
        self._ingest = ingest
        self._store = store
        # They only take turns with the interpreter, and each holds many times its body in memory.
        self._reading = threading.BoundedSemaphore(_READ_AT_ONCE)
        self._takes: dict[str, Take] = {
            JSON: self._take_json,
            LINES: self._take_lines,
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
            summary="Take in windows of counts, a capture, or a log",
            status_code=HTTPStatus.ACCEPTED,
            response_description="Stored, and waits to be done; Location leads to the job",
            responses={
                200: {
                    "model": WindowAccepted | CaptureAccepted | JobOut | JobList,
                    "description": "All of it was accepted before: the first answer again",
                },
                201: {
                    "model": WindowAccepted | CaptureAccepted | JobList,
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
            str, Query(description="Where a capture or a log was taken; counts say it themselves")
        ] = "default",
    ) -> JobOut | JobList | WindowAccepted | CaptureAccepted:
        """Take in counts of windows (JSON, one a line, or as sensors send them), a capture, or a log of flows.

        A capture is pcap or pcapng, a log what `yocho scan` reads; either may be packed with gzip or zstd. NDJSON
        is a log if its first line is one of Zeek or Suricata; else each line is a window, and the answer has a job
        for each: all are taken in or, if any is refused, none. Any body may have Content-Encoding gzip or zstd.

        What is answered with 202 is stored, and will be done once, in the order in which a sensor sends it. With
        `Prefer: wait=N` the answer waits until then, and names what was found. The same window again gets
        the first answer with status 200; a window of the same sensor, start and length with other content is
        refused. Nothing is stored of a window that is refused.
        """
        take = self._takes.get(media_type(request))
        if take is None:
            raise refuse_type(media_type(request), self._takes)
        coding(request)
        seconds = preferred_wait(request)
        added = await take(request, sensor)
        if seconds is not None:
            response.headers["Preference-Applied"] = f"wait={seconds}"
            added = await self._waited(added, seconds)
        if isinstance(added, Added):
            return _answer(response, added, waited=seconds is not None)
        return _answer_all(response, added)

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
        return await self._take_window(request, self._read_counts)

    async def _take_document(self, request: Request, _sensor: str) -> Added:
        return await self._take_window(request, self._read_document)

    async def _take_window(self, request: Request, read: Callable[[bytes], WindowCounts]) -> Added:
        await self._check_room()
        with self._bodies.portion(sender_of(request)) as portion:
            body = await read_body(request, self._spec.max_json_bytes, portion)

            def accept() -> Added:
                with self._reading:
                    counts = read(body)
                visitor_of(request).check_sensor(counts.sensor)
                return self._ingest.add_window(counts)

            return await self._bodies.read(len(body), accept)

    async def _check_room(self) -> None:
        """Raise BusyError if nothing would be accepted; if there is room, without a thread."""
        if self._ingest.seems_full():
            await run_in_threadpool(self._ingest.check_room)

    async def _take_capture(self, request: Request, sensor: str) -> Added:
        with self._bodies.portion(sender_of(request)) as portion:
            body = pieces(request, self._spec.max_capture_bytes)
            return await self._store_upload(request, sensor, body, portion)

    async def _take_lines(self, request: Request, sensor: str) -> Added | Sequence[Added]:
        await self._check_room()
        arriving = pieces(request, self._spec.max_capture_bytes)
        with self._bodies.portion(sender_of(request)) as portion:
            head = await first_line(arriving)
            if is_log(head):
                return await self._store_upload(request, sensor, put_before(head, arriving), portion)
            body = await joined(put_before(head, arriving), self._spec.max_json_bytes, portion)
            return await self._bodies.read(len(body), partial(self._accept_lines, body, visitor_of(request)))

    async def _store_upload(
        self, request: Request, sensor: str, body: AsyncIterator[bytes], portion: Portion
    ) -> Added:
        check_sensor(sensor)
        visitor_of(request).check_sensor(sensor)
        upload = await run_in_threadpool(self._ingest.upload, sensor)
        try:
            async for piece in body:
                # In memory is one part of it.
                portion.more(min(len(piece), PART_BYTES - portion.bytes))
                await run_in_threadpool(upload.write, piece)
            return await run_in_threadpool(upload.finish)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(upload.drop)
            raise

    def _accept_lines(self, body: bytes, visitor: Visitor) -> Sequence[Added]:
        with self._reading:
            windows = read_lines(body, self._spec.max_rows, lambda counts: visitor.check_sensor(counts.sensor))
        try:
            return self._ingest.add_windows([*windows.values()])
        except WindowConflictError as error:
            if error.place is None:
                raise
            with at_line([*windows][error.place]):
                raise

    async def _waited(self, added: Taken, seconds: int) -> Taken:
        """Return what it is when it is done, or after so many seconds."""
        end = time.monotonic() + seconds
        if isinstance(added, Added):
            return replace(added, job=await self._done(added.job, end))
        return [replace(each, job=await self._done(each.job, end)) for each in added]

    async def _done(self, job: Job, end: float) -> Job:
        """Return a job when it is done, or at a time, monotonic seconds."""
        pause = _FIRST_PAUSE
        while job.state is JobState.WAITING:
            found = await run_in_threadpool(self._ingest.job, job.id)
            job = job if found is None else found
            left = end - time.monotonic()
            if job.state is not JobState.WAITING or left <= 0:
                break
            await anyio.sleep(min(pause, left))
            pause = min(1.5 * pause, _LONGEST_PAUSE)
        return job

    def _read_counts(self, body: bytes) -> WindowCounts:
        return read_counts(body, self._spec.max_rows)

    def _read_document(self, body: bytes) -> WindowCounts:
        return read_document(body, self._spec.max_rows, self._spec.max_json_bytes)


def _answer(response: Response, added: Added, *, waited: bool) -> JobOut | WindowAccepted | CaptureAccepted:
    """Return what is said of one job, with status and Location; for who waited and it failed, raises why."""
    job, repeated = added.job, added.repeated
    if waited and job.state is not JobState.WAITING:
        return _outcome(response, job, repeated=repeated)
    if repeated:
        response.status_code = HTTPStatus.OK
    else:
        response.headers["Location"] = f"{JOBS}/{job.id}"
    return job_document(job)


def _answer_all(response: Response, added: Sequence[Added]) -> JobList:
    """Return what is said of windows that came together; each says for itself if it failed."""
    if all(each.repeated for each in added):
        response.status_code = HTTPStatus.OK
    elif all(each.job.state is not JobState.WAITING for each in added):
        response.status_code = HTTPStatus.CREATED
    return JobList(jobs=[job_document(each.job) for each in added])


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
