from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.address import format_addresses, pack_addresses
from service.capture.hosts import HostTable
from service.capture.logs import addresses
from service.capture.logs.addresses import AddressBook, Dialect

PLAIN = Dialect()


def looked_up(*texts: str, dialect: Dialect = PLAIN) -> list[str | None]:
    hosts = HostTable(64)
    found = AddressBook(hosts, dialect).look_up(texts)
    written = format_addresses(hosts.addresses(found.numbers))
    return [text if known else None for text, known in zip(written, found.known.tolist(), strict=True)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.ip_addresses().map(str).filter(lambda text: "%" not in text), max_size=20))
def test_addresses_are_kept(texts: list[str]) -> None:
    assert looked_up(*texts) == format_addresses(pack_addresses(texts))


@pytest.mark.parametrize(
    "text", ["", "-", "1.2.3", "1.2.3.256", "01.2.3.4", "fe80::1%eth0", "host", "16909060", "1.2.3.4\0", "é"]
)
def test_what_is_no_address(text: str) -> None:
    assert looked_up(text, "192.0.2.1") == [None, "192.0.2.1"]


def test_integers_and_names_are_a_dialect() -> None:
    assert looked_up("16909060", "4294967296", dialect=Dialect(integers=True)) == ["1.2.3.4", None]
    first, same, other, none, dotted = looked_up(
        "pot-1.example", "POT-1.example", "pot-2", "1-2", "1.2.3.256", dialect=Dialect(names=True)
    )
    assert first == same != other
    assert first is not None
    assert first.startswith("fd79:6f63:686f:")
    assert none is None
    assert dotted is None


def test_groups_and_full_tables_are_marked() -> None:
    book = AddressBook(HostTable(1))  # room for one that is no IPv4 address
    texts = ["224.0.0.1", "0.0.0.0", "ff02::1", "10.0.0.1", "2001:db8::1"]
    found = book.look_up(texts)
    assert found.group.tolist() == [True, True, True, False, False]
    assert found.full.tolist() == [False, False, False, False, True]
    assert found.v6.tolist() == [False, False, True, False, False]
    assert found.known.all()


def test_the_memory_of_texts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "_MOST", 10)
    book = AddressBook(HostTable(1))
    for low in range(100):
        assert book.look_up([f"10.0.0.{low}"]).numbers == np.uint32(0x0A000000 + low)
    assert len(book._seen) <= 11
