"""Events as signed POST requests to a server of the operator's."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

from service.errors import DeliveryError, SettingsError
from service.outputs.forms import Form, written
from service.outputs.signature import HEADER, sign

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from service.outputs.output import Notice

EVENT_ID = "Yocho-Event-Id"

_LATER = frozenset({408, 425, 429})
"""Answers of 4xx that may be others tomorrow."""
_EXCERPT = 4096
"""Bytes of an answer that are read."""
_SHOWN = 200
"""Characters of it that are told."""
_LONGEST_HEADER = 64


@dataclass(frozen=True, slots=True)
class WebhookSpec:
    """Where events go, and how; raises SettingsError for a URL that is none of http or https."""

    url: str = field(repr=False)
    """May hold a secret."""
    secret: bytes = field(repr=False)
    authorization: str | None = field(default=None, repr=False)
    """Value of the header of this name."""
    form: Form = Form.JSON
    timeout: float = 10.0
    """Seconds to connect, and for each part of a request and its answer."""
    proxy: str | None = field(default=None, repr=False)
    trust: ssl.SSLContext | None = None
    """Whom to believe that he is the server; by default, whom everybody believes."""

    def __post_init__(self) -> None:
        for url in filter(None, (self.url, self.proxy)):
            _check_url(url)


class Webhook:
    """Posts events; `clock` gives seconds since the epoch."""

    def __init__(
        self,
        spec: WebhookSpec,
        version: str,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._spec, self._version, self._transport, self._clock = spec, version, transport, clock
        self._http: httpx.Client | None = None

    def deliver(self, notice: Notice) -> None:
        """See `Output`: an answer of 2xx means that the event was taken. Redirects are not followed."""
        body = written(self._spec.form, notice, self._version)
        try:
            with self._client().stream(
                "POST", self._spec.url, content=body, headers=self._headers(notice, body)
            ) as response:
                _check(response, _excerpt(response), self._clock())
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise DeliveryError(f"no connection: {str(error) or type(error).__name__}", away=True) from error
        except httpx.HTTPError as error:
            raise DeliveryError(f"no answer: {str(error) or type(error).__name__}") from error

    def close(self) -> None:
        """See `Output`."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _client(self) -> httpx.Client:
        if self._http is None:
            spec = self._spec
            self._http = httpx.Client(
                timeout=spec.timeout,
                follow_redirects=False,
                verify=True if spec.trust is None else spec.trust,
                proxy=spec.proxy,
                # What the environment says of proxies is no setting of ours.
                trust_env=False,
                transport=self._transport,
            )
        return self._http

    def _headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        own = {
            "Content-Type": self._spec.form.media_type,
            "User-Agent": f"Yocho/{self._version}",
            EVENT_ID: notice.id,
            "Yocho-Event": notice.event.kind.value,
            HEADER: sign(self._spec.secret, int(self._clock()), body),
        }
        return own | ({"Authorization": self._spec.authorization} if self._spec.authorization else {})


def _check_url(url: str) -> None:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SettingsError(f"url: {error}; write https://HOST/PATH") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise SettingsError(f"url: begins with {parsed.scheme or 'no scheme'}; write https://HOST/PATH")


def _check(response: httpx.Response, excerpt: str, now: float) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    why = f"answered {status}" + (f": {excerpt}" if excerpt else "")
    permanent = 400 <= status < 500 and status not in _LATER
    raise DeliveryError(why, permanent=permanent, pause=_asked(response.headers.get("retry-after", ""), now))


def _excerpt(response: httpx.Response) -> str:
    """Return the beginning of an answer's body, fit for a log."""
    content = b""
    for piece in response.iter_bytes(_EXCERPT):
        content += piece
        if len(content) >= _EXCERPT:
            break
    text = content[:_EXCERPT].decode(errors="replace")
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:_SHOWN]


def _asked(text: str, now: float) -> float:
    """Return the seconds that Retry-After asks for (RFC 9110, 10.2.3), or 0."""
    text = text.strip()
    if len(text) > _LONGEST_HEADER:
        return 0.0
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
