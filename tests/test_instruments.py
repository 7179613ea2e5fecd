from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import urlopen

import pytest

from service.errors import SettingsError
from service.instruments import Instruments
from service.observe import Work


class Collector(HTTPServer):
    """Takes traces as a collector of OpenTelemetry does."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Posts)
        self.posted: list[tuple[str, bytes]] = []


class Posts(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posted.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the library's name)
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_traces_reach_the_collector_and_metrics_count_beside_them(collector: Collector) -> None:
    instruments = Instruments("1.2.3", f"http://127.0.0.1:{collector.server_port}/")
    with instruments.observer.work(Work("window")):
        pass
    instruments.close()
    ((path, body),) = collector.posted
    assert path == "/v1/traces"
    assert b"job window" in body
    labels = {"kind": "window", "outcome": "failed"}
    assert instruments.registry.get_sample_value("yocho_job_seconds_count", labels) == 1


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_metrics_are_shown_on_an_address_while_the_block_lasts() -> None:
    instruments, port = Instruments("1"), a_free_port()
    with instruments.shown(f"127.0.0.1:{port}"), urlopen(f"http://127.0.0.1:{port}/metrics") as page:
        assert b'yocho_build_info{version="1"} 1.0' in page.read()
    with pytest.raises(OSError, match="refused"):
        urlopen(f"http://127.0.0.1:{port}/metrics")


def test_metrics_are_written_to_a_file_while_the_block_lasts(tmp_path: Path) -> None:
    file = tmp_path / "yocho.prom"
    with Instruments("1").shown(f"file:{file}"):
        assert 'yocho_build_info{version="1"} 1.0' in file.read_text()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_shown_where_nothing_is_wanted(tmp_path: Path) -> None:
    with Instruments("1").shown(""):
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("9100", "neither HOST:PORT nor file:PATH"),
        ("127.0.0.1:http", "neither HOST:PORT nor file:PATH"),
        ("127.0.0.1:99999", "can't listen on 127.0.0.1:99999: ports end at 65535"),
        ("192.0.2.1:9100", "can't listen on 192.0.2.1:9100: Cannot assign"),
        ("file:/nowhere/x.prom", "file:/nowhere/x.prom can't be written: No such file"),
    ],
)
def test_a_place_that_can_t_be_had_is_said(where: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said), Instruments("1").shown(where):
        pass
