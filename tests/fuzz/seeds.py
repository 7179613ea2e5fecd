"""The seeds of the kept corpus, small inputs that make sense: `python -m tests.fuzz.seeds` writes them."""

from __future__ import annotations

import json
import struct
import zlib
from typing import TYPE_CHECKING

from service.alerts.memory import to_bytes
from service.patterns.pattern import Event, PatternVersion, Status
from service.store.documents import write_alert, write_pattern, write_version
from service.store.old_windows import write_counts
from service.windows.wire import write_window
from tests.alerts.groups_traffic import learned
from tests.builders import AN_ALERT, a_pattern, a_window
from tests.builders import START as DAY
from tests.capture import exports
from tests.capture.frames import ETHER, SYN, V4, V6, built
from tests.capture.logs.writing import FLOWS
from tests.capture.wrapping import AUTHENTICATION, LINKS, ORIGIN, TEREDO, TUNNELS, teredo
from tests.conformance.test_readers import STYLES
from tests.fuzz.kept import CORPUS
from tests.fuzz.targets import SHAPES
from tests.packets import START, Blocks, Frame, pcap, pcapng, squeezed, zipped

if TYPE_CHECKING:
    from pathlib import Path

Seeds = dict[str, bytes]


def seeds() -> dict[str, Seeds]:
    """Make the seeds of every target."""
    logs = {name.replace(" ", "_"): style.text(FLOWS).encode() for name, (_, style) in STYLES.items()}
    return {
        "any_file": _packed(logs),
        "pcap": _pcaps(),
        "pcapng": _pcapngs(),
        "frame": _frames(),
        "zeek": {"tabs": logs["zeek"]},
        "zeek_json": {"lines": logs["zeek_json"]},
        "suricata": {"lines": logs["suricata"]},
        "nfdump": {"old": logs["nfdump"], "new": logs["nfdump_new"]},
        "argus": {"lines": logs["argus"]},
        "vpc": {"named": logs["vpc"]},
        "csv": {"services": logs["csv"], "ports": _PORTS},
        "exports": _exports(),
        "posted": _posted(),
        "words": _WORDS,
        "packet_filter": _FILTERS,
        **_stored(),
    }


_PORTS = (
    b"Timestamp;Src IP;Dst IP;Proto;Dst Port;Src Port;ICMP Type;Action;Duration\n"
    b"2026-03-01 12:00:00,5;3232235777;honeypot-1;tcp;22;40000;;allow;0.5\n"
    b'"1772366400";192.0.2.7;::1;icmp;;;8;drop;1e-3\n'
)
_WORDS = {
    "address": b"2001:db8::1",
    "mapped": b"::ffff:192.0.2.1",
    "service": b"icmp/echo",
    "time": b"2026-03-01T12:00:00.5+01:00",
    "seconds": b"1772366400.123456789",
    "allow": b"10.0.0.0/8 tcp/443\n# comment\n2001:db8::/32 tcp/9000-9100\nudp/161",
}
_REMEMBERED = {
    "version": [1],
    "windows": [0, 60, 2, 60, 120, 3],
    "counters": [2, 1],
    "ids": [1, 2, 1],
    "counts": [4, 5, 6],
    "rows": [1, 2],
    "lengths": [2, 1, 1],
    "services": [22, 23, 22, 80],
    "attempts": [1, 1, 2, 3],
    "keys": [7],
    "incidents": [0, 0, 60, 2],
    "best": [9],
    "named": [8],
    "incident_services": [22, 23],
    "observed": [0, 120],
}
_VERSION = PatternVersion("p1", 1, Event.BORN, DAY, Status.NEW, "telnet", (("tcp/23", 1.0),), 3, 1)
_FILTERS = {
    "plain": b"tcp and not port 22",
    "long": b"(tcp[13] & 2 != 0 or icmp6) and net 10.0.0.0/8 and vlan 5",
    "empty": b" ",
}


def _packed(logs: Seeds) -> Seeds:
    capture = pcap([Frame(START, built(ETHER / V4 / SYN))])
    return {
        "pcap.gz": zipped(capture),
        "zeek.gz": zipped(logs["zeek"]),
        "csv.gz-twice": zipped(zipped(logs["csv"])),
        "pcapng.zst": squeezed(pcapng([Frame(START, built(ETHER / V6 / SYN))])),
        "skipped.zst": b"\x50\x2a\x4d\x18\x02\0\0\0ab" + squeezed(logs["vpc"]),
        "bomb.gz": zipped(capture + bytes(1 << 22)),
        "bomb.zst": squeezed(logs["csv"] + b"," * (1 << 22)),
        "text": b"Dear reader,\n",
    }


def _pcaps() -> Seeds:
    frames = [Frame(START + i * 10**8, built(ETHER / [V4, V6][i % 2] / SYN)) for i in range(6)]
    two_days = [*frames[:2], Frame(START + 2 * 86_400 * 10**9, frames[2].data), *frames[3:]]
    plain = pcap(frames)
    return {
        "plain": plain,
        "big": pcap(frames, big=True, nanoseconds=True),
        "short": pcap(frames, snap=40),
        "jump": pcap(two_days),
        "cut": plain[:-9],
        "modified": b"\x34\xcd\xb2\xa1" + plain[4:40] + bytes(8) + plain[40 : 40 + len(frames[0].data)],
    }


def _pcapngs() -> Seeds:
    little, big = Blocks(), Blocks(big=True)
    packet = built(ETHER / V4 / SYN)
    options = little.resolution(0x8A) + little.time_offset(3) + little.option(0, b"")
    return {
        "plain": pcapng([Frame(START, packet)]),
        "kinds": little.section()
        + little.interface(snap=60, options=options)
        + little.interface(101)
        + little.simple(packet)
        + little.obsolete(5, packet, drops=3)
        + little.enhanced(6, packet[14:], interface=1, options=little.option(2, b"abcd"))
        + little.block(5, bytes(8)),
        "sections": pcapng([Frame(START, packet)]) + big.section() + big.interface() + big.enhanced(1, packet),
    }


def _frames() -> Seeds:
    found = {
        f"link-{name}": struct.pack("<H", link) + built(write(V4 / SYN)) for name, (link, write) in LINKS.items()
    }
    for name, wrap in TUNNELS.items():
        found[f"tunnel-{name}"] = b"\x65\0" + built(wrap[1](V6 / SYN))
    found["tunnel-teredo"] = b"\x65\0" + built(teredo(TEREDO / SYN, AUTHENTICATION + ORIGIN))
    return found


def _exports() -> Seeds:
    template = exports.ipfix_template()
    records = [exports.flow(), exports.flow("198.51.100.2", "192.0.2.1", sport=80, dport=40000, flags=0x12)]
    sampling = exports.a_set(3, struct.pack(">HHH", 257, 1, 0) + exports.fields([(34, 4)]))
    variable = ((8, 4), (12, 4), (4, 1), (7, 2), (11, 2), (82, 65535), (2, 4, exports.REVERSE), (152, 8))
    text = b"\x03eth" + struct.pack(">IQ", 0, exports.EXPORT * 1000)
    return {
        "v5": _sent(exports.v5([exports.v5_record(), exports.v5_record("198.51.100.2", "192.0.2.1")])),
        "v9": _sent(exports.v9(exports.v9_template()), exports.v9(exports.a_set(256, *records), sequence=1)),
        "ipfix": _sent(exports.ipfix(exports.a_set(256, *records)), exports.ipfix(template, sampling)),
        "variable": _sent(
            exports.ipfix(exports.ipfix_template(variable), exports.a_set(256, records[0][:8] + records[0][12:13]
            + records[0][8:12] + text)),
        ),
        "options": _sent(exports.ipfix(sampling, exports.a_set(257, struct.pack(">I", 100)), domain=3)),
    }  # fmt: skip


def _sent(*datagrams: bytes) -> bytes:
    return b"".join(struct.pack(">H", len(data)) + data for data in datagrams)


def _posted() -> Seeds:
    row = {"source": "192.0.2.1", "service": "tcp/23", "attempts": 41, "targets": 41, "answered": 2}
    window = {"sensor": "edge", "start": "2026-03-01T12:00:00Z", "end": 1772366460.5, "rows": [row]}
    totals = {
        "source": "192.0.2.1",
        "targets": 41,
        "most_services_on_one_target": 1,
        "most_unanswered_services_on_one_target": 1,
        "most_targets_of_one_service": 41,
        "targets_sample": ["198.51.100.7"],
    }
    other = {"source": "2001:db8::1", "service": "icmp/echo", "attempts": 1, "targets": 1, "answered": 0}
    return {
        "window": json.dumps(window).encode(),
        "totals": json.dumps(window | {"rows": [row, other], "sources": [totals]}).encode(),
    }


def _stored() -> dict[str, Seeds]:
    remembered = learned(2)
    return {
        "window": {"content": zlib.decompress(write_window(a_window())[4:]), "packed": write_window(a_window())},
        "old_window": {"content": zlib.decompress(write_counts(a_window())), "packed": write_counts(a_window())},
        "documents": {
            "alert": write_alert(AN_ALERT).encode(),
            "pattern": write_pattern(a_pattern()).encode(),
            "version": write_version(_VERSION).encode(),
        },
        "history": {"two-days": to_bytes(remembered)},
        "history_arrays": {
            "two-windows": _arrays(_REMEMBERED),
            "empty": _arrays({"version": [1], "observed": [0, 0]}),
        },
    }


def _arrays(given: dict[str, list[int]]) -> bytes:
    return b"".join(struct.pack(f"B{len(v)}b", len(v), *v) for v in (given.get(name, []) for name in SHAPES))


def write(folder: Path) -> None:
    """Write the seeds of every target below a folder."""
    for target, named in seeds().items():
        (folder / target).mkdir(parents=True, exist_ok=True)
        for name, data in named.items():
            (folder / target / name).write_bytes(data)


if __name__ == "__main__":
    write(CORPUS)
