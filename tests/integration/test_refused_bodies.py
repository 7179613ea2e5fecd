"""Clients that send more than is taken, over real sockets: they hear why, though they are still sending."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.integration.serving import Served, await_true, rest_of, served, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MEBIBYTE = 1 << 20
LARGE = bytes(12 * MEBIBYTE)
JSON = {"Content-Type": "application/json"}
PATH = "/v1/windows"
PIECE = b"10000\r\n" + b" " * 0x10000 + b"\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("refused"), idle_seconds=3, max_json_bytes=8 * MEBIBYTE) as running:
        yield running


def in_pieces() -> Iterator[bytes]:
    for _ in range(12):
        yield bytes(MEBIBYTE)


def by_httpx(server: Served, **sent: object) -> tuple[int, bytes]:
    answer = httpx.post(server.url + PATH, headers=JSON, timeout=60, **sent)  # type: ignore[arg-type]
    return answer.status_code, answer.content


def by_the_standard_library(server: Served) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", PATH, body=LARGE, headers=JSON)
    answer = connection.getresponse()
    return answer.status, answer.read()


def by_curl(server: Served, *options: str) -> tuple[int, bytes]:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    command = ["curl", "-sS", "--data-binary", "@-", "-H", "Content-Type: application/json", *options]
    done = subprocess.run([*command, "-w", "%{http_code}", server.url + PATH], input=LARGE, capture_output=True,
                          check=False, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout[-3:]), done.stdout[:-3]


@pytest.mark.parametrize(
    "send",
    [
        lambda server: by_httpx(server, content=LARGE),
        lambda server: by_httpx(server, content=in_pieces()),
        by_the_standard_library,
        by_curl,
        lambda server: by_curl(server, "-H", "Expect:"),
        lambda server: by_curl(server, "-H", "Expect:", "-H", "Transfer-Encoding: chunked"),
    ],
    ids=["httpx", "httpx chunked", "http.client", "curl", "curl at once", "curl chunked"],
)
def test_who_sends_too_much_hears_why(send: Callable[[Served], tuple[int, bytes]], server: Served) -> None:
    status, content = send(server)
    assert status == 413
    assert json.loads(content)["status"] == 413


def all_sent(client: socket.socket, pieces: int) -> bool:
    """Send chunks; return whether the other side took them all."""
    try:
        for _ in range(pieces):
            client.sendall(PIECE)
    except OSError:
        return False
    return True


def begin(client: socket.socket, path: str = PATH) -> None:
    client.sendall(f"POST {path} HTTP/1.1\r\nHost: yocho\r\nContent-Type: application/json\r\n".encode())
    client.sendall(b"Transfer-Encoding: chunked\r\n\r\n")


@pytest.mark.parametrize("path", [PATH, "/v1/nothing"])
def test_a_client_that_sends_all_before_it_listens_hears_why(path: str, server: Served) -> None:
    with server.connect() as client:
        begin(client, path)
        assert all_sent(client, 24 * 16)
        answer = rest_of(client)
    assert status_of(answer) == (413 if path == PATH else 404)
    json.loads(answer.partition(b"\r\n\r\n")[2])


def test_what_is_no_http_hears_it_though_it_sends_on(server: Served) -> None:
    with server.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: yocho\r\n")
        for number in range(40_000):
            client.sendall(b"X-%d: 1234567890\r\n" % number)
        answer = rest_of(client)
    assert status_of(answer) == 400
    json.loads(answer.partition(b"\r\n\r\n")[2])


def test_who_goes_on_without_end_is_cut_off(server: Served) -> None:
    before = server.figure("yocho_connections_cut_total", reason="unread")
    with server.connect() as client:
        begin(client)
        assert not all_sent(client, 100 * 16)
    assert server.figure("yocho_connections_cut_total", reason="unread") == before + 1


def test_who_neither_sends_nor_goes_is_not_waited_for(server: Served) -> None:
    before = server.figure("yocho_connections_cut_total", reason="unread")
    with server.connect() as client:
        begin(client)
        assert all_sent(client, 8 * 16 + 1)
        # It counts as long as it is there.
        assert status_of(client.recv(1 << 16)) == 413
        assert server.figure("yocho_connections") == 2
        await_true(lambda: server.figure("yocho_connections") == 1)
    assert server.figure("yocho_connections_cut_total", reason="unread") == before + 1


def test_bodies_have_one_bound_together(tmp_path: Path) -> None:
    with served(tmp_path, max_json_bytes=8 * MEBIBYTE, max_body_bytes=16 * MEBIBYTE) as server:
        clients = [server.connect() for _ in range(2)]
        for client in clients:
            begin(client)
            assert all_sent(client, 60)
        assert server.figure("yocho_body_bytes") <= 8 * MEBIBYTE
        refused = server.figure("yocho_refusals_total", reason="busy")
        status, content = by_httpx(server, content=LARGE[: 8 * MEBIBYTE])
        assert (status, json.loads(content)["status"]) == (429, 429)
        assert server.figure("yocho_refusals_total", reason="busy") == refused + 1
        for client in clients:
            client.close()
        await_true(lambda: server.figure("yocho_body_bytes") == 0)
