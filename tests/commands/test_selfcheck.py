from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Run


@contextmanager
def refusing(heard: list[str | None]) -> Iterator[str]:
    """Give the URL of a service that hears who asks, and lets nobody in."""

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(self.headers["authorization"])
            self.rfile.read(int(self.headers["content-length"]))
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_it_shows_the_token_of_the_file(yocho: Run, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("yo_secret\n")
    heard: list[str | None] = []
    with refusing(heard) as url:
        with_token = yocho("selfcheck", "--url", url, "--token-file", "token")
        without = yocho("selfcheck", "--url", url)
    assert heard == ["Bearer yo_secret", None]
    for done in (with_token, without):
        assert done.returncode == 2
        assert "answered 401" in done.stderr
        assert "yo_secret" not in done.stderr


def test_a_token_that_can_t_be_read_is_named(yocho: Run) -> None:
    done = yocho("selfcheck", "--token-file", "nowhere")
    assert done.returncode == 2
    assert "nowhere: No such file or directory" in done.stderr
