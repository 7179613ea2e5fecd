from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet6 import IPv6

from service.capture.address import format_addresses, pack_addresses
from service.capture.hosts import HostTable
from tests.capture.frames import SYN, built
from tests.capture.reading import read
from tests.packets import START, Frame, pcap


def test_ipv4_hosts_are_their_own_number() -> None:
    hosts = np.array([0, 0x0A000001, 0xC0000201, 0xEFFFFFFF], dtype=np.uint32)
    found = format_addresses(HostTable(1).addresses(hosts))
    assert found == ["0.0.0.0", "10.0.0.1", "192.0.2.1", "239.255.255.255"]


def test_numbers_of_other_hosts_lead_back_to_their_addresses(tmp_path: Path) -> None:
    """Including those whose two words add up to the same, and more than half of the table."""
    texts = [f"2001:db8:0:{i:x}:0:0:0:{(31 * (40 - i)) + 1:x}" for i in range(40)] + [
        "ffff::ffff",
        "8000::8000:0:0:0",
    ]
    source = "2001:db8::1"
    frames = [Frame(START, built(IPv6(src=source, dst=text) / SYN)) for text in texts * 2]
    hosts = HostTable(len(texts) + 1)
    reading = read(tmp_path / "a.pcap", pcap(frames, link=229), hosts)
    normal = [packet.target for packet in reading.packets]
    assert len(set(normal)) == len(texts)
    assert normal[: len(texts)] == normal[len(texts) :]
    assert reading.losses.unparsed == {}


def test_no_hosts_have_no_addresses() -> None:
    assert HostTable(1).addresses(np.empty(0, dtype=np.uint32)).shape == (0, 2)


@pytest.mark.parametrize("capacity", [0, -1, 1 << 28])
def test_capacity_is_checked(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        HostTable(capacity)


def test_many_addresses_are_numbered_at_once_until_the_table_is_full() -> None:
    hosts = HostTable(2)
    texts = ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "2001:db8::2", "2001:db8::3", "2001:db8::1"]
    numbers = hosts.number(pack_addresses(texts))
    assert (numbers >= 0).tolist() == [True, True, True, True, False, True]
    assert numbers[0] == numbers[2] == 0xC0000201
    assert numbers[1] == numbers[5]
    assert format_addresses(hosts.addresses(numbers[[1, 3]].astype(np.uint32))) == ["2001:db8::1", "2001:db8::2"]
