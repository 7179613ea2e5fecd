"""Clients that mean harm, over real sockets: each is refused cheaply, and others are answered meanwhile."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.serving import Served, await_true, rest_of, served, status_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHORT: dict[str, Any] = {"idle_seconds": 0.5, "stall_seconds": 0.5, "least_rate": 100, "max_json_bytes": 1 << 20}
POST = b"POST /v1/windows HTTP/1.1\r\nHost: yocho\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
MEBIBYTE = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("hostile"), **SHORT) as running:
        yield running


def is_answered(server: Served) -> bool:
    return server.get("/v1/status").status_code == 200


def sized(body: bytes) -> bytes:
    """Return a POST of a body, after which the connection ends."""
    return POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def dribble(client: socket.socket, content: bytes) -> bytes:
    """Send a byte now and then until the server has enough of it; return what it answers."""
    done = threading.Event()

    def send() -> None:
        for number in range(len(content)):
            if done.wait(0.05):
                return
            try:
                client.send(content[number : number + 1])
            except OSError:
                return

    sender = threading.Thread(target=send)
    sender.start()
    try:
        return rest_of(client)
    finally:
        done.set()
        sender.join()


def sent_until_broken(client: socket.socket, most: int) -> int:
    """Send chunks, up to so many bytes; return how many were sent before the connection broke."""
    chunk, sent = b"10000\r\n" + b" " * 0x10000 + b"\r\n", 0
    try:
        while sent < most:
            client.sendall(chunk)
            sent += len(chunk)
    except OSError:
        pass
    return sent


def test_a_head_that_comes_byte_by_byte(server: Served) -> None:
    before = server.figure("yocho_connections_cut_total", reason="slow_head")
    with server.connect() as client:
        answer = dribble(client, b"GET / HTTP/1.1\r\nHost: yocho\r\n" + b"X-Slow: 1\r\n" * 1000)
    assert status_of(answer) == 408
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 408
    assert server.figure("yocho_connections_cut_total", reason="slow_head") == before + 1


def test_a_second_head_that_comes_byte_by_byte(server: Served) -> None:
    with server.connect() as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: yocho\r\n\r\n")
        assert status_of(client.recv(1 << 16)) == 200
        answer = dribble(client, b"GET / HTTP/1.1\r\nHost: yocho\r\n" + b"X-Slow: 1\r\n" * 1000)
    assert b"HTTP/1.1 408 " in answer


@pytest.mark.parametrize(
    "head",
    [POST + b"Content-Length: 100000\r\n\r\n", CHUNKED],
    ids=["sized", "chunked"],
)
def test_a_body_that_comes_byte_by_byte(server: Served, head: bytes) -> None:
    before = server.figure("yocho_connections_cut_total", reason="slow_body")
    with server.connect() as client:
        client.sendall(head)
        answer = dribble(client, b"1\r\n \r\n" * 1000)
    assert status_of(answer) == 408
    assert server.figure("yocho_connections_cut_total", reason="slow_body") == before + 1


def test_a_capture_that_comes_byte_by_byte_leaves_nothing_behind(server: Served) -> None:
    with server.connect() as client:
        client.sendall(CHUNKED.replace(b"application/json", b"application/vnd.tcpdump.pcap"))
        assert status_of(dribble(client, b"1\r\n \r\n" * 1000)) == 408
    await_true(lambda: server.figure("yocho_queue_bytes") == 0)


def test_a_slow_body_of_a_request_whose_answer_has_none(server: Served) -> None:
    with server.connect() as client:
        client.sendall(b"HEAD /v1/windows/w0 HTTP/1.1\r\nHost: yocho\r\nContent-Length: 100000\r\n\r\n")
        assert status_of(dribble(client, b" " * 1000)) in (0, 404, 405)
    assert is_answered(server)


def test_one_that_never_reads_its_answers(server: Served) -> None:
    before = server.figure("yocho_connections_cut_total", reason="slow_reader")
    with server.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /assets/plotly.js HTTP/1.1\r\nHost: yocho\r\n\r\n" * 10)
        await_true(lambda: server.figure("yocho_connections_cut_total", reason="slow_reader") == before + 1)


def test_the_server_ends_though_a_client_would_hold_it(tmp_path: Path) -> None:
    with (
        served(tmp_path, complaint="timeout graceful shutdown exceeded", stall_seconds=1) as server,
        server.connect() as client,
    ):
        client.sendall(CHUNKED)
        await_true(lambda: server.figure("yocho_connections") == 2)
        server.process.terminate()
        assert server.process.wait(timeout=60) in (0, -signal.SIGTERM)


def test_a_declared_body_that_is_too_large_is_refused_before_it_comes(server: Served) -> None:
    for size in (b"1048577", b"9" * 18):
        assert status_of(server.ask(POST + b"Content-Length: " + size + b"\r\n\r\n")) == 413
    # Longer than h11 takes for a number.
    assert status_of(server.ask(POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n")) == 400


def test_a_body_without_a_length_ends_where_its_bound_is(server: Served) -> None:
    memory = server.memory()
    with server.connect() as client:
        client.sendall(CHUNKED)
        sent = sent_until_broken(client, 256 * MEBIBYTE)
        answer = rest_of(client)
    # What the system had taken in between is on top.
    assert sent < 64 * MEBIBYTE
    assert status_of(answer) in (0, 413)
    assert server.memory() - memory < 64 * MEBIBYTE


def test_a_body_that_goes_on_after_its_answer_is_cut_off(server: Served) -> None:
    head = b"POST /nothing HTTP/1.1\r\nHost: yocho\r\nTransfer-Encoding: chunked\r\n\r\n"
    with server.connect() as client:
        client.sendall(head)
        assert status_of(client.recv(1 << 16)) == 404
        assert sent_until_broken(client, 256 * MEBIBYTE) < 64 * MEBIBYTE


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=["open", "lists", "objects", "rows"],
)
def test_json_of_a_hundred_thousand_levels(server: Served, body: bytes) -> None:
    assert status_of(server.ask(sized(body))) in (400, 422)
    assert is_answered(server)


@pytest.mark.parametrize(
    "body",
    [
        b'{"sensor": "\xff\xfe"}',
        b'{"sensor": "\xed\xa0\x80"}',  # half of a surrogate pair
        b'{"sensor": "\\ud800"}',
        b'{"sensor": "a\\u0000b", "start": 0, "end": 60, "rows": []}',
        b"\x00" * 100,
        b"\xef\xbb\xbf{}",
        b"",
    ],
)
def test_bodies_that_are_no_text(server: Served, body: bytes) -> None:
    answer = server.ask(sized(body))
    assert status_of(answer) in (400, 422)
    json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(
    ("line", "statuses"),
    [
        (b"GET /v1/alerts/\xff\xfe HTTP/1.1", {400}),
        (b"GET /v1/alerts/%ff%fe HTTP/1.1", {404, 422}),
        (b"GET /v1/alerts/%00 HTTP/1.1", {404, 422}),
        (b"GET /v1/sources/%ed%a0%80 HTTP/1.1", {404, 422}),
        (b"GET /v1/alerts/\x00 HTTP/1.1", {400}),
        (b"GET /v1/alerts?sensor=%ff%00 HTTP/1.1", {200, 422}),
        (b"GET /v1/alerts?cursor=%00&sensor=\xff HTTP/1.1", {400}),
        (b"GET /v1/alerts?%ff=%fe HTTP/1.1", {200, 422}),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1", {400}),
        (b"GET / HTTP/99.99", {400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", {400}),  # TLS, spoken to a port that does not
    ],
)
def test_malformed_paths_and_queries(server: Served, line: bytes, statuses: set[int]) -> None:
    assert status_of(server.ask(line + b"\r\nHost: yocho\r\nConnection: close\r\n\r\n")) in statuses


@pytest.mark.parametrize(
    ("header", "statuses"),
    [
        (b"X-Request-ID: \xff\xfe", {200}),
        (b"X-Request-ID: a\x00b", {400}),
        (b"Authorization: Bearer \xff\xfe\xfd", {401}),
        (b"Authorization: Basic \xff\xff", {401}),
        (b"Accept: \xff/\xff", {200, 406}),
        (b"Content-Length: -1", {400}),
        (b"Content-Length: 1\r\nContent-Length: 2", {400}),
        (b"Transfer-Encoding: gzip, chunked", {400, 501}),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5", {200, 400}),
        (b"X-Huge: " + b"a" * 100_000, {400}),
        (b"\r\n".join(b"X-%d: 1" % number for number in range(10_000)), {400}),
        (b" folded: 1", {200}),  # RFC 9112, 5.2
        (b"no colon", {400}),
        (b"Upgrade: websocket\r\nConnection: Upgrade", {200}),
    ],
)
def test_malformed_headers(server: Served, header: bytes, statuses: set[int]) -> None:
    request = b"GET /v1/status HTTP/1.1\r\nHost: yocho\r\n" + header + b"\r\nConnection: close\r\n\r\n"
    assert status_of(server.ask(request)) in statuses


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"5\r\nabc",
        b"ffffffffffffffffffffffff\r\n",
        b"5\r\nabcdefghi\r\n",
        b"1;" + b"a" * 100_000,
    ],
)
def test_broken_chunks(server: Served, body: bytes) -> None:
    # What is too short is waited for, and then too slow.
    assert status_of(server.ask(CHUNKED + body)) in (400, 408, 413)


@pytest.fixture
def many() -> Iterator[int]:
    """Return how many connections a test can open: 10,000, or as many as the system permits it to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    permitted = 10_512 if hard == resource.RLIM_INFINITY else min(10_512, hard)
    if permitted < 1_512:
        pytest.skip(f"only {hard} files may be open at once: too few for a thousand connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, permitted), hard))
    yield permitted - 512
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_idle_connections(tmp_path: Path, many: int) -> None:
    with served(tmp_path, idle_seconds=2) as server, ExitStack() as stack:
        assert is_answered(server)
        memory = server.memory()
        for number in range(many):
            stack.enter_context(server.connect(f"127.0.0.{2 + number % 40}"))
        assert is_answered(server)
        assert server.figure("yocho_connections") <= 2048 + 1
        assert server.memory() - memory < 64 * MEBIBYTE
        # All are ended: those that had to make room at once, the others when their time is over.
        await_true(lambda: server.figure("yocho_connections") == 1)
        crowded, idle = (server.figure("yocho_connections_cut_total", reason=why) for why in ("crowded", "idle"))
        assert crowded + idle == many
        assert crowded >= many - 2048


def test_one_address_has_a_share_of_the_connections(server: Served) -> None:
    with ExitStack() as stack:
        before = server.figure("yocho_connections_cut_total", reason="crowded")
        for _ in range(600):
            stack.enter_context(server.connect("127.0.0.9"))
        await_true(lambda: server.figure("yocho_connections") == 1)
        assert server.figure("yocho_connections_cut_total", reason="crowded") >= before + 600 - 256


@pytest.fixture(scope="module")
def with_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no certificate can be made")
    folder = tmp_path_factory.mktemp("tls")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "chain.pem"]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    trusted = ssl.create_default_context(cafile=str(folder / "chain.pem"))
    files: dict[str, Any] = {"tls_certificate": "chain.pem", "tls_key": "key.pem"}
    with served(folder, trusted, **SHORT, **files, max_address_connections=20) as running:
        yield running


def test_handshakes_that_never_end_are_counted_and_ended(with_tls: Served) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(with_tls.connect("127.0.0.9")) for _ in range(60)]
        assert is_answered(with_tls)
        assert all(rest_of(client) == b"" for client in clients)
        await_true(lambda: with_tls.figure("yocho_connections") == 1)
    ended = {why: with_tls.figure("yocho_connections_cut_total", reason=why) for why in ("crowded", "idle")}
    assert ended["crowded"] >= 40
    assert sum(ended.values()) == 60


def test_what_is_no_handshake_is_refused(with_tls: Served) -> None:
    before = with_tls.figure("yocho_connections_cut_total", reason="unreadable")
    with with_tls.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: yocho\r\n\r\n")
        assert status_of(rest_of(client)) == 0
    assert with_tls.figure("yocho_connections_cut_total", reason="unreadable") == before + 1


def test_a_slow_head_over_tls(with_tls: Served) -> None:
    assert with_tls.trusted is not None
    with with_tls.trusted.wrap_socket(with_tls.connect(), server_hostname="127.0.0.1") as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        assert status_of(rest_of(client)) == 408


def test_a_body_that_is_too_large_over_tls(with_tls: Served) -> None:
    assert with_tls.trusted is not None
    with with_tls.trusted.wrap_socket(with_tls.connect(), server_hostname="127.0.0.1") as client:
        client.sendall(CHUNKED)
        for _ in range(4 * 16):
            client.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        assert status_of(rest_of(client)) == 413
