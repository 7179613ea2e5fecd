from __future__ import annotations

import json
import re
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from service.errors import DeliveryError, SettingsError
from service.outputs.forms import Form
from service.outputs.signature import sign
from service.outputs.webhook import Webhook, WebhookSpec
from tests.conftest import REPOSITORY
from tests.outputs.receivers import SECRET, VERSION, Hook, a_notice, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = 1_700_000_000.0


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    with running(made):
        yield made
    for output in made.outputs:
        output.close()


def failure(answer: httpx.Response | Exception) -> DeliveryError:
    """Return what is raised for an answer."""

    def handle(_request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    output = Webhook(
        WebhookSpec("https://soc.example/hook?key=hidden", SECRET),
        VERSION,
        httpx.MockTransport(handle),
        lambda: NOW,
    )
    with pytest.raises(DeliveryError) as raised:
        output.deliver(a_notice())
    output.close()
    return raised.value


def test_an_event_is_a_signed_document(hook: Hook) -> None:
    notice = a_notice(17)
    hook.output(authorization="Bearer abc").deliver(notice)
    ((path, headers, body),) = hook.requests
    assert path == "/hook"
    assert headers["Content-Type"] == "application/json"
    assert headers["Yocho-Event-Id"] == notice.id
    assert headers["Yocho-Event"] == "opened"
    assert headers["Authorization"] == "Bearer abc"
    document = json.loads(body)
    assert (document["id"], document["sequence"], document["event"]) == (notice.id, 17, "opened")
    assert document["alert"]["id"] == "a1"
    timestamp = int(headers["Yocho-Signature"].split(",")[0].removeprefix("t="))
    assert headers["Yocho-Signature"] == sign(SECRET, timestamp, body)


def test_the_signature_is_what_other_programs_compute() -> None:
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    assert sign(b"key", 1_700_000_000, b"{}") == (
        "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
    )


def test_the_example_of_the_documentation_takes_ours_and_no_other(hook: Hook) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "outputs.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    check: Callable[..., bool] = names["is_from_yocho"]
    hook.output().deliver(a_notice())
    _, headers, body = hook.requests[0]
    header = headers["Yocho-Signature"]
    assert check(SECRET, header, body)
    assert not check(SECRET, header, body + b" ")
    assert not check(b"another secret of ours", header, body)
    assert not check(SECRET, header, body, tolerance=-1.0)
    for other in ("", "t=1", "v1=1", "t=x,v1=y", header.replace("t=", "t=1"), "t=²,v1=é"):
        assert not check(SECRET, other, body)


def test_one_connection_serves_many_events(hook: Hook) -> None:
    output = hook.output()
    hook.answer, hook.body = lambda _: (200, {}), b"thanks"
    for number in range(4):
        output.deliver(a_notice(number))
    assert len(hook._connections) == 1
    output.close()


def test_redirects_are_not_followed(hook: Hook) -> None:
    hook.answer = lambda _: (302, {"Location": "/elsewhere"})
    with pytest.raises(DeliveryError, match="answered 302") as raised:
        hook.output().deliver(a_notice())
    assert [path for path, _, _ in hook.requests] == ["/hook"]
    assert not raised.value.permanent


@pytest.mark.parametrize("status", [400, 401, 404, 410, 413, 422])
def test_a_refusal_is_for_good(status: int) -> None:
    error = failure(httpx.Response(status, text="no \x1b[31m such\nthing"))
    assert str(error) == f"answered {status}: no [31m such thing"
    assert error.permanent


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 301])
def test_other_answers_may_change(status: int) -> None:
    error = failure(httpx.Response(status))
    assert (error.permanent, error.away, error.pause) == (False, False, 0.0)


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("7", 7.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("soon", 0.0),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, pause: float) -> None:
    assert failure(httpx.Response(429, headers={"Retry-After": text})).pause == pause


def test_no_connection_and_no_answer_are_told_apart(hook: Hook) -> None:
    assert failure(httpx.ConnectError("refused")).away
    assert failure(httpx.ConnectTimeout("")).away
    assert not failure(httpx.ReadTimeout("slow")).away
    hook.answer = lambda _: (0, {})
    with pytest.raises(DeliveryError, match="no answer") as raised:
        hook.output().deliver(a_notice())
    assert not raised.value.away


def test_of_a_huge_answer_only_the_beginning_is_read() -> None:
    read = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1)
            yield b"x" * 1000

    class Body(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return endless()

    assert len(str(failure(httpx.Response(500, stream=Body())))) < 300
    assert len(read) < 10


@pytest.mark.parametrize("form", [Form.ECS, Form.OCSF, Form.STIX, Form.CEF, Form.EVE])
def test_other_forms_have_their_media_type(hook: Hook, form: Form) -> None:
    hook.output(form=form).deliver(a_notice())
    _, headers, body = hook.requests[0]
    assert headers["Content-Type"] == form.media_type
    assert b"\n" not in body


@pytest.mark.parametrize(
    "url", ["ftp://soc/x", "file:///etc/passwd", "soc.example/x", "http://", "gopher://x/", "https://soc:port/"]
)
def test_a_target_that_is_no_web_server_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"write https://HOST/PATH$"):
        WebhookSpec(url, SECRET)
    with pytest.raises(SettingsError):
        WebhookSpec("https://soc.example/", SECRET, proxy=url)


def test_no_secret_is_shown() -> None:
    shown = repr(WebhookSpec("https://soc.example/hidden", b"hidden" * 4, "Bearer hidden"))
    assert "hidden" not in shown + str(failure(httpx.ReadTimeout("slow")))
