"""Who is let in: every request is asked for its token before anything else looks at it."""

from __future__ import annotations

import base64
import logging
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from service.access.rates import Rates, RateSpec
from service.access.token import Scope, Token, hash_of
from service.api.problems import refuse
from service.errors import InputError, StoreError
from service.observe import current_ids
from service.store.audit import Change

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from starlette.types import ASGIApp, Message, Receive, Send
    from starlette.types import Scope as AsgiScope

    from service.store.audit import SqlAudit
    from service.store.tokens import SqlTokens

_log = logging.getLogger(__name__)

ANYBODY = "anonymous"
"""Who asks where no token is needed."""

_FREE = frozenset({"/healthz", "/readyz"})
"""For supervisors, who hold no token."""
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Yocho", Basic realm="Yocho, with a token as password"'}
_LONGEST_HEADER = 512
_MOST_KNOWN = 4096


class AccessUnit(Protocol):
    """What a transaction offers here."""

    @property
    def tokens(self) -> SqlTokens:
        """The tokens."""
        ...

    @property
    def audit(self) -> SqlAudit:
        """The audit log."""
        ...


class AccessStore(Protocol):
    """Where tokens are kept."""

    def begin(self) -> AbstractContextManager[AccessUnit]:
        """See `service.store.repository.Store.begin`."""
        ...

    def read(self) -> AbstractContextManager[AccessUnit]:
        """See `service.store.repository.Store.read`."""
        ...


@dataclass(frozen=True, slots=True)
class AccessSpec:
    """Who may come in, and how often."""

    open_without_tokens: bool = False
    """Whether everybody may do everything as long as there is no token: on the loopback."""
    rates: RateSpec = field(default_factory=RateSpec)
    remembered: float = 5.0
    """Seconds for which a token is known without asking the store: so long it may outlive its revocation."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks."""

    name: str
    token: Token | None

    def may(self, scope: Scope | None) -> bool:
        """Whether a scope is theirs."""
        return scope is None or self.token is None or self.token.allows(scope)

    def check_sensor(self, sensor: str) -> None:
        """Raise InputError unless windows of a sensor may be sent."""
        if self.token is not None and self.token.sensors is not None and sensor not in self.token.sensors:
            raise InputError("sensor", f"token {self.token.name!r} may not send as {sensor!r}")


class Gate:
    """Knows who asks. `clock` gives ns since the epoch, `timer` monotonic seconds."""

    def __init__(
        self,
        store: AccessStore,
        spec: AccessSpec,
        clock: Callable[[], int] = time.time_ns,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._spec = spec
        self._clock = clock
        self._timer = timer
        self._rates = Rates(spec.rates, timer)
        self._known: dict[bytes, tuple[Token, float]] = {}
        self._open: tuple[bool, float] = (False, -1.0)
        self._asking = threading.Lock()

    def wait(self, visitor: Visitor, address: str) -> float:
        """Count a request; return 0, or the seconds after which it may be made."""
        return self._rates.wait(visitor.token.id if visitor.token else address)

    def remembered(self, hashed: bytes | None) -> Visitor | None:
        """Return who asks if that is known without the store."""
        now = self._timer()
        if hashed is None:
            opened, until = self._open
            return Visitor(ANYBODY, None) if opened and now < until else None
        known = self._known.get(hashed)
        return Visitor(known[0].name, known[0]) if known and now < known[1] else None

    def ask(self, hashed: bytes | None) -> Visitor | None:
        """Return who asks, or None if nobody comes in with that; raises StoreError if the store fails."""
        with self._asking:
            visitor = self.remembered(hashed)
            if visitor is not None:
                return visitor
            return self._ask_open() if hashed is None else self._ask_token(hashed)

    def admits(self, hashed: bytes | None) -> bool:
        """Tell whether who came in with that would still come in; raises StoreError if the store fails."""
        return (self.remembered(hashed) or self.ask(hashed)) is not None

    def record(self, change: Change) -> None:
        """Keep what was asked and answered in the audit log; the log has it in any case."""
        _log.info("write", extra={"actor": change.actor, "action": change.action, "target": change.target,
                                  "status": change.status, "request": change.request})  # fmt: skip
        try:
            with self._store.begin() as unit:
                unit.audit.add(change)
        except StoreError as error:
            _log.error("not in the audit log", extra={"reason": str(error), "request": change.request})

    def now(self) -> int:
        """Return the time, ns since the epoch."""
        return self._clock()

    def _ask_open(self) -> Visitor | None:
        if not self._spec.open_without_tokens:
            return None
        with self._store.read() as unit:
            opened = not unit.tokens.any_valid(self._clock())
        self._open = opened, self._timer() + self._spec.remembered
        return Visitor(ANYBODY, None) if opened else None

    def _ask_token(self, hashed: bytes) -> Visitor | None:
        now = self._clock()
        with self._store.read() as unit:
            token = unit.tokens.found(hashed)
        if token is None or not token.valid_at(now):
            self._known.pop(hashed, None)
            return None
        try:
            with self._store.begin() as unit:
                unit.tokens.touch(token, now)
        except StoreError as error:  # a full disk, say: who may read still may
            _log.warning("the use of a token is not noted", extra={"reason": str(error)})
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[hashed] = token, self._timer() + self._spec.remembered
        return Visitor(token.name, token)


class AccessMiddleware:
    """Lets in who may do what they ask for, as often as they may.

    `request.state.visitor` says who, and `request.state.admitted`, a function, whether they still come in.
    """

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        hashed = hash_of(_secret(request.headers.get("authorization", "")))
        visitor = await self._visitor(request, hashed)
        refusal = visitor if not isinstance(visitor, Visitor) else self._refused(request, visitor)
        if refusal is not None:
            if isinstance(visitor, Visitor) and refusal.status is HTTPStatus.FORBIDDEN:
                await self._record(request, visitor, refusal.status)
            await refuse(request, refusal.status, refusal.detail, refusal.headers)(scope, receive, send)
            return
        assert isinstance(visitor, Visitor)  # noqa: S101  (anything else was refused)
        request.state.visitor, request.state.actor = visitor, visitor.name
        request.state.admitted = partial(self._gate.admits, hashed)
        status = 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            await self._record(request, visitor, status)

    async def _record(self, request: Request, visitor: Visitor, status: int) -> None:
        """Keep a request that changed something, or was to, in the audit log."""
        if needed(request.method, _path(request)) is Scope.ADMIN and request.method not in _READS:
            await run_in_threadpool(self._gate.record, _change(request, visitor, status, self._gate.now()))

    async def _visitor(self, request: Request, hashed: bytes | None) -> Visitor | _Refusal:
        if _path(request) in _FREE:
            return Visitor(ANYBODY, None)
        if request.headers.get("authorization") and hashed is None:
            return _Refusal(HTTPStatus.UNAUTHORIZED, "the Authorization header holds no token of Yocho", _CHALLENGE)
        try:
            visitor = self._gate.remembered(hashed) or await run_in_threadpool(self._gate.ask, hashed)
        except StoreError as error:
            _log.error("nobody can be let in", extra={"reason": str(error)})
            detail = "the store can't be used now; try again later"
            return _Refusal(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "5"})
        if visitor is None:
            detail = (
                "this token is unknown, revoked or expired" if hashed else "a token is needed; send it as Bearer"
            )
            return _Refusal(HTTPStatus.UNAUTHORIZED, detail, _CHALLENGE)
        return visitor

    def _refused(self, request: Request, visitor: Visitor) -> _Refusal | None:
        if _path(request) in _FREE:
            return None
        seconds = self._gate.wait(visitor, request.client.host if request.client else "")
        if seconds:  # before anything that would be written down
            retry = {"Retry-After": str(max(1, round(seconds + 0.5)))}
            return _Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many requests; wait as Retry-After says", retry)
        scope = needed(request.method, _path(request))
        if not visitor.may(scope):
            return _Refusal(HTTPStatus.FORBIDDEN, f"token {visitor.name!r} lacks the scope {scope}", {})
        return None


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: HTTPStatus
    detail: str
    headers: dict[str, str]


def visitor_of(request: Request) -> Visitor:
    """Return who asks: anybody, where nobody is asked for a token."""
    visitor: Visitor = getattr(request.state, "visitor", None) or Visitor(ANYBODY, None)
    return visitor


def sender_of(request: Request) -> str:
    """Return whose requests are counted together: those of a token or, without one, of an address."""
    token = visitor_of(request).token
    return token.id if token is not None else request.client.host if request.client else ""


def needed(method: str, path: str) -> Scope:
    """Return the scope that a request takes."""
    if path == "/v1/windows" and method == "POST":
        return Scope.INGEST
    if path.startswith("/v1/jobs/") and method in _READS:
        return Scope.INGEST
    if path.startswith("/v1/audit"):
        return Scope.ADMIN
    return Scope.READ if method in _READS else Scope.ADMIN


def _path(request: Request) -> str:
    """Return the path as the router sees it; `request.url` would be put together and taken apart for it."""
    path: str = request.scope["path"]
    return path


def _secret(header: str) -> str:
    """Return the token of an Authorization header: that of Bearer, or Basic's password; '' if there is none."""
    if len(header) > _LONGEST_HEADER:
        return ""
    kind, _, value = header.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except ValueError:  # no Base64, or no text
            return ""
    return ""


def _change(request: Request, visitor: Visitor, status: int, now: int) -> Change:
    return Change(
        at=now,
        actor=visitor.name,
        request=current_ids().get("request", ""),
        action=request.method,
        target=_path(request)[:500],
        status=status or HTTPStatus.INTERNAL_SERVER_ERROR,
    )
