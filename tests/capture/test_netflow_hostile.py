from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.capture.hosts import HostTable
from service.capture.netflow import Exports, ExportSpec
from tests.capture.exports import (
    FLOW,
    NOW,
    PACKETS,
    PROTOCOL,
    SOURCE_PORT,
    SYN,
    TARGET_PORT,
    FieldOf,
    Reader,
    a_set,
    address,
    flow,
    ipfix,
    ipfix_template,
    number,
    template,
    v5,
    v5_record,
    v9,
    v9_template,
)

HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "truncated"),
    "one byte": (b"\0", "truncated"),
    "another version": (number(7, 2) + bytes(60), "unknown_version"),
    "a cut header": (v9()[:12], "truncated"),
    "a v5 that promises more": (v5([v5_record()], count=2), "truncated"),
    "a v5 of nothing": (v5([], count=0), "truncated"),
    "a v5 of too many": (v5([v5_record()] * 31), "truncated"),
    "a longer IPFIX message than there is": (ipfix(length=400), "truncated"),
    "a shorter one than its header": (ipfix(length=3), "truncated"),
    "a set that overruns": (v9(a_set(256, length=5000)), "malformed_set"),
    "a set of length 3": (v9(a_set(256, b"abcd", length=3)), "malformed_set"),
    "a set of length 0": (v9(a_set(256, b"abcd", length=0)), "malformed_set"),
    "a reserved set": (v9(a_set(77, b"abcd")), "unknown_set"),
    "a cut template": (ipfix(a_set(2, template(FLOW)[:10])), "malformed_template"),
    "a template of more fields than there are": (ipfix(a_set(2, template(FLOW, count=200))), "malformed_template"),
    "a template of thousands": (ipfix(a_set(2, template([(5, 1)] * 3000))), "malformed_template"),
    "a template with a data set's place": (ipfix(a_set(2, template(FLOW, name=5))), "malformed_template"),
    "a template of empty fields": (ipfix(a_set(2, template([(8, 0), (12, 0), (4, 0)]))), "malformed_template"),
    "a cut enterprise number": (ipfix(a_set(2, template([(1, 4, 9)])[:8])), "malformed_template"),
    "cut options": (v9(a_set(1, number(300, 2) + number(4, 2) + number(40, 2) + bytes(8))), "malformed_template"),
    "options of half a field": (
        v9(a_set(1, number(300, 2) + number(3, 2) + number(4, 2) + bytes(8))),
        "malformed_template",
    ),
    "records without addresses": (
        v9(v9_template((PROTOCOL, PACKETS)), a_set(256, bytes(10))),
        "records_without_addresses",
    ),
    "a string that overruns": (
        ipfix(ipfix_template(((82, 65535), *FLOW)), a_set(256, b"\xff\xff\xff" + flow())),
        "malformed_record",
    ),
    "a string whose length is cut": (
        ipfix(ipfix_template((*FLOW, (82, 65535))), a_set(256, flow() + b"\xff")),
        "malformed_record",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_makes_no_sense_is_counted_and_the_rest_goes_on(name: str) -> None:
    data, reason = HOSTILE[name]
    reader = Reader()
    assert reader.read(data) == []
    assert reader.losses.get(reason, 0) >= 1
    assert reader.read(v5([v5_record()])) == [SYN]


def test_fields_of_odd_lengths_are_not_taken_for_what_they_are_not() -> None:
    reader = Reader()
    given: tuple[FieldOf, ...] = (*FLOW, (7, 3), (6, 9), (152, 3))
    assert reader.read(ipfix(ipfix_template(given), a_set(256, flow() + b"x" * 15))) == [NOW]


def test_domains_templates_and_what_waits_are_bounded() -> None:
    reader = Reader(ExportSpec(domains=4, templates=8, waiting_sets=5, waiting_bytes=100))
    for domain in range(50):
        reader.read(v9(*(v9_template(name=256 + n) for n in range(20)), a_set(999, bytes(30)), source=domain))
    losses = reader.losses
    assert losses["domains_forgotten"] == 46
    assert losses["sets_without_template"] == 50
    assert len(reader.exports._templates) <= 8
    assert len(reader.exports._waiting) <= 3


def test_a_table_of_addresses_that_is_full_is_said() -> None:
    exports = Exports(HostTable(1))
    given: tuple[FieldOf, ...] = ((27, 16), (28, 16), SOURCE_PORT, TARGET_PORT, PROTOCOL)
    record = address("2001:db8::1") + address("2001:db8::2") + number(1, 2) + number(2, 2) + b"\x06"
    data = ipfix(ipfix_template(given), a_set(256, record))
    assert len(exports.read([data, data])) == 0
    assert exports.losses()["address_table_full"] == 2


@pytest.mark.parametrize("name", ["domains", "templates", "waiting_sets", "waiting_bytes", "jump"])
def test_bounds_are_positive(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        ExportSpec(**{name: 0})


PIECES = st.sampled_from(
    [
        v9_template(),
        ipfix_template(),
        v9_template(((82, 65535), *FLOW)),
        ipfix_template(((82, 65535), *FLOW)),
        a_set(
            1,
            number(300, 2)
            + number(4, 2)
            + number(4, 2)
            + number(1, 2)
            + number(4, 2)
            + number(34, 2)
            + number(4, 2),
        ),
        a_set(
            3,
            number(300, 2)
            + number(2, 2)
            + number(1, 2)
            + number(149, 2)
            + number(65535, 2)
            + number(160, 2)
            + number(8, 2),
        ),
        a_set(256, flow(), flow()),
        a_set(300, bytes(range(40))),
    ]
)


@st.composite
def datagrams(draw: st.DrawFn) -> bytes:
    """Return rubbish, or a datagram of sound pieces in which some bytes were changed."""
    if draw(st.booleans()):
        head = draw(st.sampled_from([b"", b"\0\5", b"\0\x09", b"\0\x0a"]))
        return head + draw(st.binary(max_size=200))
    pieces = draw(st.lists(PIECES, max_size=5))
    data = bytearray(draw(st.sampled_from([v9(*pieces), ipfix(*pieces), v5([v5_record()] * 2)])))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))]) if draw(st.booleans()) else bytes(data)


@settings(max_examples=400, deadline=None)
@given(st.lists(datagrams(), max_size=8))
def test_no_datagram_ends_the_reading_or_grows_without_bound(sent: list[bytes]) -> None:
    exports = Exports(HostTable(100), ExportSpec(domains=2, templates=3, waiting_sets=3))
    flows = exports.read(sent)
    assert len(flows) <= sum(map(len, sent)) * 4
    assert (flows.time >= 0).all()
    assert (flows.time <= flows.end).all()
    assert len(exports._templates) <= 3
    assert len(exports._waiting) <= 3
    assert all(count > 0 for count in exports.losses().values())


@settings(max_examples=60, deadline=None)
@given(st.lists(datagrams(), max_size=8), st.integers(0, 8))
def test_how_datagrams_are_batched_does_not_matter(sent: list[bytes], cut: int) -> None:
    together, apart = Exports(HostTable(100)), Exports(HostTable(100))
    whole = together.read(sent)
    parts = [apart.read(sent[:cut]), apart.read(sent[cut:])]
    assert whole.time.tolist() == [time for part in parts for time in part.time.tolist()]
    assert together.losses() == apart.losses()
