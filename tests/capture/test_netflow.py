from __future__ import annotations

from dataclasses import replace

import pytest

from service.capture.hosts import HostTable
from service.capture.netflow import Exports
from tests.capture.exports import (
    END_UPTIME,
    EXPORT,
    FLOW,
    NOW,
    PACKETS,
    PROTOCOL,
    REVERSE,
    SECOND,
    SOURCE4,
    SOURCE_PORT,
    START_UPTIME,
    SYN,
    TARGET4,
    TARGET_PORT,
    UPTIME,
    FieldOf,
    Reader,
    Row,
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

GROUP = 1 << 9


def test_v5_records_are_flows() -> None:
    reader = Reader()
    assert reader.read(v5([v5_record(), v5_record("10.0.0.1", "10.0.0.2", protocol=17, flags=0, packets=7)])) == [
        SYN,
        replace(SYN, source="10.0.0.1", target="10.0.0.2", protocol="udp", flags=0, packets=7),
    ]
    assert reader.losses == {}


@pytest.mark.parametrize(
    ("uptime", "first", "start"),
    [
        (UPTIME, UPTIME, 0.0),
        (UPTIME, UPTIME + 200, 0.2),  # the clocks of header and record are read one after the other
        (500, (1 << 32) - 1500, -2.0),  # the uptime wrapped in between
        ((1 << 32) - 1, (1 << 32) - 1001, -1.0),
        (10, (1 << 32) - 10 * 86_400_000, -864_000.01),  # a flow that began before the exporter did: a replay
    ],
)
def test_uptimes_wrap(uptime: int, first: int, start: float) -> None:
    (row,) = Reader().read(v5([v5_record(first=first, last=first)], uptime=uptime))
    assert (row.start, row.end) == (start, start)


def test_a_coarse_clock_in_the_header_does_not_move_flows() -> None:
    reader = Reader()
    first = v9(v9_template((*FLOW, START_UPTIME)), a_set(256, flow() + number(UPTIME - 3000, 4)))
    later = [
        v9(
            a_set(256, flow() + number(UPTIME - 3000, 4)),
            sequence=n,
            uptime=UPTIME + 300 * n,
            seconds=EXPORT + n // 4,
        )
        for n in range(1, 12)
    ]
    assert {row.start for row in reader.read(first, *later)} == {-3.0}


def test_v9_flows_need_their_template_and_may_come_before_it() -> None:
    reader = Reader()
    assert reader.read(v9(a_set(256, flow()), sequence=7)) == []
    assert reader.losses == {"sets_without_template": 1}
    assert reader.read(v9(v9_template(), sequence=8), v9(a_set(256, flow()), sequence=9)) == [NOW, NOW]
    assert reader.losses == {"no_time": 2}


def test_templates_belong_to_their_domain() -> None:
    reader = Reader()
    assert reader.read(v9(v9_template(), source=1), v9(a_set(256, flow()), source=2)) == []
    assert reader.read(ipfix(a_set(256, flow()), domain=1)) == []
    assert reader.losses == {"sets_without_template": 2}


def test_ipfix_flows() -> None:
    reader = Reader()
    assert reader.read(ipfix(ipfix_template(), a_set(256, flow(), flow(), padding=3))) == [NOW, NOW]


def test_a_template_is_replaced_and_withdrawn() -> None:
    reader = Reader()
    other = (TARGET4, SOURCE4, *FLOW[2:])
    turned = replace(NOW, source=NOW.target, target=NOW.source)
    assert reader.read(
        ipfix(ipfix_template(), a_set(256, flow()), ipfix_template(other), a_set(256, flow())),
    ) == [NOW, turned]
    assert reader.read(ipfix(a_set(2, template((), name=256)), a_set(256, flow()), sequence=2)) == []
    assert reader.losses["sets_without_template"] == 1


def test_all_templates_of_a_kind_are_withdrawn() -> None:
    reader = Reader()
    reader.read(ipfix(ipfix_template(), ipfix_template(name=300), a_set(2, template((), name=2))))
    assert reader.read(ipfix(a_set(256, flow()), a_set(300, flow()))) == []


def test_a_restart_forgets_templates() -> None:
    reader = Reader()
    reader.read(v9(v9_template(), uptime=900_000, sequence=50))
    assert reader.read(v9(a_set(256, flow()), uptime=5000, seconds=EXPORT + 60)) == []
    assert reader.losses == {"restarts": 1, "sets_without_template": 1}


def test_fields_of_variable_length_and_of_enterprises_are_skipped() -> None:
    given: tuple[FieldOf, ...] = ((82, 65535), SOURCE4, (1, 4, 9), TARGET4, (1, 65535, 9), *FLOW[2:], (999, 3))
    head, tail = flow()[:4], flow()[8:]
    target = address(NOW.target)

    def record(name: bytes, more: bytes) -> bytes:
        long = b"\xff" + number(len(more), 2) + more
        return number(len(name), 1) + name + head + b"abcd" + target + long + tail + b"xyz"

    reader = Reader()
    body = a_set(256, record(b"eth0", b"z" * 300), record(b"", b""), record(b"e" * 254, b"k"))
    assert reader.read(ipfix(ipfix_template(given), body)) == [NOW] * 3
    assert reader.losses == {"no_time": 3}


TIMES: dict[str, tuple[tuple[FieldOf, ...], bytes, float, float]] = {
    "uptime": (
        (START_UPTIME, END_UPTIME, (160, 8)),
        number(40_000, 4) + number(41_500, 4) + number(EXPORT * 1000 - 50_000, 8),
        -10.0,
        -8.5,
    ),
    "seconds": (((150, 4), (151, 4)), number(EXPORT - 5, 4) + number(EXPORT - 4, 4), -5.0, -4.0),
    "milliseconds": (
        ((152, 8), (153, 8)),
        number(EXPORT * 1000 - 5, 8) + number(EXPORT * 1000 - 4, 8),
        -0.005,
        -0.004,
    ),
    "microseconds": (
        ((154, 8), (155, 8)),
        number((EXPORT - 3 + 2_208_988_800) << 32, 8) + number((EXPORT - 3 + 2_208_988_800) << 32 | 1 << 31, 8),
        -3.0,
        -2.5,
    ),
    "nanoseconds": (
        ((156, 8), (157, 8)),
        number((EXPORT - 3 + 2_208_988_800) << 32 | 1 << 30, 8) * 2,
        -2.75,
        -2.75,
    ),
    "before the export": (((158, 4), (159, 4)), number(2_000_000, 4) + number(500_000, 4), -2.0, -0.5),
    "start and duration": (((152, 8), (161, 4)), number(EXPORT * 1000 - 5000, 8) + number(2000, 4), -5.0, -3.0),
    "end and duration": (((153, 8), (162, 4)), number(EXPORT * 1000 - 5000, 8) + number(2_000_000, 4), -7.0, -5.0),
    "an observed event": (((323, 8),), number(EXPORT * 1000 - 250, 8), -0.25, -0.25),
}


@pytest.mark.parametrize("name", TIMES)
def test_times(name: str) -> None:
    given, written, start, end = TIMES[name]
    reader = Reader()
    assert reader.read(ipfix(ipfix_template((*FLOW, *given)), a_set(256, flow() + written))) == [
        replace(SYN, start=start, end=end)
    ]
    assert reader.losses == {}


def test_the_boot_time_may_come_as_options_data() -> None:
    options = a_set(
        3,
        number(300, 2)
        + number(2, 2)
        + number(1, 2)
        + number(149, 2)
        + number(4, 2)
        + number(160, 2)
        + number(8, 2),
    )
    data = a_set(300, number(0, 4) + number(EXPORT * 1000 - 50_000, 8))
    record = flow() + number(40_000, 4) + number(41_500, 4)
    reader = Reader()
    assert reader.read(
        ipfix(options, data, ipfix_template((*FLOW, START_UPTIME, END_UPTIME)), a_set(256, record)),
    ) == [replace(SYN, start=-10.0, end=-8.5)]


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (((152, 8), (153, 8)), number((EXPORT + 86_400) * 1000, 8) * 2),
        (((152, 8), (153, 8)), number(EXPORT * 1000, 8) + number(EXPORT * 1000 - 5, 8)),
        (((152, 8), (153, 8)), number((1 << 64) - 1, 8) * 2),
        (((150, 8), (151, 8)), number((1 << 63) - 1, 8) * 2),
    ],
)
def test_absurd_times_are_those_of_the_export(given: tuple[FieldOf, ...], written: bytes) -> None:
    reader = Reader()
    assert reader.read(ipfix(ipfix_template((*FLOW, *given)), a_set(256, flow() + written))) == [NOW]
    assert sum(reader.losses.values()) == 1


def test_one_datagram_dated_years_ahead_moves_nothing() -> None:
    reader = Reader()
    good = [v5([v5_record()], sequence=n) for n in range(3)]
    assert len(reader.exports.read([good[0], good[1], v5([v5_record()], seconds=EXPORT + 10**8), good[2]])) == 3
    assert len(reader.exports.finish()) == 0
    assert reader.losses == {"absurd_export_time": 1}


def test_a_jump_that_the_next_datagram_confirms_stands() -> None:
    reader = Reader()
    flows = reader.exports.read(
        [
            v5([v5_record()], seconds=EXPORT + n // 2 * 86_400, uptime=UPTIME + n // 2 * 86_400_000, sequence=n)
            for n in range(6)
        ]
    )
    assert len(flows) == 6


def test_ipv6_and_the_opposite_direction() -> None:
    given: tuple[FieldOf, ...] = (
        (27, 16),
        (28, 16),
        SOURCE_PORT,
        TARGET_PORT,
        PROTOCOL,
        (6, 2),
        (2, 8),
        (2, 8, REVERSE),
        (6, 2, REVERSE),
        (152, 8),
        (152, 8, REVERSE),
    )

    def record(forward: int, backward: int) -> bytes:
        return (
            address("2001:db8::1")
            + address("2001:db8::2")
            + number(40000, 2)
            + number(443, 2)
            + number(6, 1)
            + number(0x102, 2)
            + number(3, 8)
            + number(2, 8)
            + number(0x12, 2)
            + number(EXPORT * 1000 + forward, 8)
            + number(EXPORT * 1000 + backward, 8)
        )

    forward = Row("2001:db8::1", 40000, "2001:db8::2", 443, "tcp", 3, 2, 2, 0x12, -0.005, -0.005)
    backward = Row("2001:db8::2", 443, "2001:db8::1", 40000, "tcp", 2, 3, 0x12, 2, -0.009, -0.005)
    reader = Reader()
    body = a_set(256, record(-5, -4), record(-5, -9))
    assert reader.read(ipfix(ipfix_template(given), body)) == [forward, backward]


@pytest.mark.parametrize(
    ("more", "written", "expected"),
    [
        (((239, 1),), b"\1", replace(NOW, directed=True)),
        (((298, 8), (299, 8)), number(4, 8) + number(0, 8), replace(NOW, packets=4, returned=0, directed=True)),
        (((233, 1),), b"\3", replace(NOW, state=3)),
        (
            ((239, 1), (2, 4, REVERSE)),
            b"\2" + number(9, 4),
            replace(
                NOW,
                source=NOW.target,
                source_port=80,
                target=NOW.source,
                target_port=40000,
                packets=9,
                returned=1,
                flags=0,
                returned_flags=2,
                directed=True,
            ),
        ),
    ],
)
def test_who_began_as_the_exporter_says(more: tuple[FieldOf, ...], written: bytes, expected: Row) -> None:
    assert Reader().read(ipfix(ipfix_template((*FLOW, *more)), a_set(256, flow() + written))) == [expected]


ICMP: dict[str, tuple[tuple[FieldOf, ...], bytes, tuple[int, int]]] = {
    "a type and code": (((32, 2),), number(8 << 8, 2), (0, 8)),
    "a type": (((176, 1), (177, 1)), b"\x08\x00", (0, 8)),
    "a timestamp request": (((32, 2),), number(13 << 8, 2), (0, 13)),
    "a timestamp reply": (((32, 2),), number(14 << 8, 2), (13, 0)),
    "an echo reply": (((32, 2),), number(0, 2), (8, 0)),
    "the target's port": ((TARGET_PORT,), number(8 << 8, 2), (0, 8)),
}


@pytest.mark.parametrize("name", ICMP)
def test_icmp_types(name: str) -> None:
    given, written, ports = ICMP[name]
    record = address("192.0.2.1") + address("192.0.2.2") + b"\1" + number(3, 4) + written
    (row,) = Reader().read(ipfix(ipfix_template((SOURCE4, TARGET4, PROTOCOL, PACKETS, *given)), a_set(256, record)))
    assert (row.protocol, row.source_port, row.target_port, row.packets) == ("icmp", *ports, 3)


def test_icmpv6_and_what_is_no_question() -> None:
    given: tuple[FieldOf, ...] = ((27, 16), (28, 16), PROTOCOL, (139, 2))
    ends = address("2001:db8::1") + address("2001:db8::2") + number(58, 1)
    reader = Reader()
    body = a_set(256, *(ends + number(kind << 8, 2) for kind in (128, 129, 135, 1)))
    rows = reader.read(ipfix(ipfix_template(given), body))
    assert [(row.protocol, row.source_port, row.target_port) for row in rows] == [("icmp6", 0, 8), ("icmp6", 8, 0)]
    assert reader.losses == {"icmp6_type/1": 1, "icmp6_type/135": 1, "no_time": 2}


def test_what_is_not_followed_is_counted() -> None:
    reader = Reader()
    assert (
        reader.read(
            v5([v5_record(protocol=47), v5_record(protocol=1, dport=3 << 8 | 1), v5_record(sport=0, dport=0)])
        )
        == []
    )
    assert reader.losses == {"icmp_type/3": 1, "ip_protocol/47": 1, "no_ports": 1}


def test_groups_are_marked() -> None:
    (row,) = Reader().read(v5([v5_record(target="224.0.0.251", protocol=17, flags=0)]))
    assert row.flags == GROUP


@pytest.mark.parametrize(("word", "sampling"), [(0, 1), (1 << 14 | 100, 100), (2 << 14 | 512, 512)])
def test_sampling_of_v5(word: int, sampling: int) -> None:
    reader = Reader()
    reader.read(v5([v5_record()], sampling=word))
    assert reader.exports.sampling == sampling


@pytest.mark.parametrize(
    ("elements", "written", "sampling"),
    [((34,), number(100, 4), 100), ((50,), number(64, 4), 64), ((305, 306), number(1, 4) + number(999, 4), 1000)],
)
def test_sampling_told_as_options(elements: tuple[int, ...], written: bytes, sampling: int) -> None:
    inside = b"".join(number(element, 2) + number(4, 2) for element in elements)
    reader = Reader()
    options = a_set(
        1, number(400, 2) + number(4, 2) + number(len(inside), 2) + number(1, 2) + number(4, 2) + inside, padding=2
    )
    assert reader.read(v9(options, a_set(400, number(0, 4) + written))) == []
    assert reader.exports.sampling == sampling
    assert reader.losses == {}


def test_gaps_are_counted_in_the_units_of_the_version() -> None:
    reader = Reader()
    reader.read(v5([v5_record()] * 2, sequence=10), v5([v5_record()], sequence=15))
    reader.read(v9(v9_template(), sequence=1), v9(v9_template(), sequence=4))
    reader.read(ipfix(ipfix_template(), a_set(256, flow(), flow())), ipfix(a_set(256, flow()), sequence=9))
    assert reader.losses == {"missing_datagrams": 2, "missing_flows": 3, "missing_records": 7, "no_time": 3}


def test_seconds_are_seconds() -> None:
    assert int(Exports(HostTable(1)).read([v5([v5_record()])] * 2).time[0]) == (EXPORT - 3) * SECOND
