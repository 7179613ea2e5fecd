from __future__ import annotations

import socket
import time

import pytest

from service.capture.datagrams import DatagramReceiver, ReceiveSpec, granted_bytes, kernel_drops, open_datagrams


def send(listener: socket.socket, *datagrams: bytes) -> None:
    family, (host, port) = listener.family, listener.getsockname()[:2]
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        for data in datagrams:
            sender.sendto(data, (host, port))


def wait_for(receiver: DatagramReceiver, count: int) -> list[tuple[str, bytes]]:
    """Return what came, as soon as there are so many datagrams."""
    taken: list[tuple[str, bytes]] = []
    end = time.monotonic() + 20
    while len(taken) < count and time.monotonic() < end:
        taken += receiver.take(0.1)
    return taken


def test_a_burst_is_kept_in_order() -> None:
    with open_datagrams("127.0.0.1", 0, ReceiveSpec()) as listener, DatagramReceiver(listener) as receiver:
        sent = [b"%d" % n * 300 for n in range(2000)]
        send(listener, *sent)
        taken = wait_for(receiver, 2000)
        assert receiver.received + receiver.kernel_drops == 2000
        assert [data for _, data in taken] == [data for data in sent if data in {data for _, data in taken}]
        assert {address for address, _ in taken} == {"127.0.0.1"}


def test_what_was_received_before_the_end_can_be_taken_after_it() -> None:
    with open_datagrams("127.0.0.1", 0, ReceiveSpec()) as listener:
        receiver = DatagramReceiver(listener)
        with receiver:
            send(listener, b"one", b"two")
        assert [data for _, data in receiver.take(0)] == [b"one", b"two"]


def test_a_full_queue_is_counted() -> None:
    with open_datagrams("127.0.0.1", 0, ReceiveSpec(queue_bytes=10)) as listener:
        receiver = DatagramReceiver(listener, ReceiveSpec(queue_bytes=10))
        send(listener, b"x" * 100)
        with receiver:
            pass
        assert (receiver.take(0), receiver.queue_drops, receiver.received) == ([], 1, 1)


def test_the_kernels_drops_are_shown() -> None:
    with open_datagrams("127.0.0.1", 0, ReceiveSpec(kernel_bytes=2048)) as listener:
        send(listener, *[b"x" * 1400] * 100)
        if not hasattr(socket, "SO_MARK"):
            pytest.skip("only Linux tells the drops of a socket")
        assert 0 < kernel_drops(listener) < 100


def test_the_granted_buffer_is_read_back() -> None:
    with open_datagrams("127.0.0.1", 0, ReceiveSpec(kernel_bytes=1 << 16)) as listener:
        assert granted_bytes(listener) >= 1 << 16


def test_ipv4_senders_have_the_same_name_on_an_ipv6_socket() -> None:
    try:
        listener = open_datagrams("::", 0, ReceiveSpec())
    except OSError:
        pytest.skip("no IPv6 here")
    with listener, DatagramReceiver(listener) as receiver:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("127.0.0.1", listener.getsockname()[1]))
        assert wait_for(receiver, 1) == [("127.0.0.1", b"x")]


def test_an_address_that_is_taken_is_an_error() -> None:
    with open_datagrams("127.0.0.1", 0, ReceiveSpec()) as listener, pytest.raises(OSError, match="in use"):
        open_datagrams("127.0.0.1", listener.getsockname()[1], ReceiveSpec())


@pytest.mark.parametrize("name", ["kernel_bytes", "queue_bytes"])
def test_sizes_are_positive(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        ReceiveSpec(**{name: 0})
