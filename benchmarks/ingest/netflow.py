"""Flows per CPU-second from exporters' datagrams: `python -m benchmarks.ingest.netflow`.

Datagrams of NetFlow v5, v9 and IPFIX are made once; Yocho's reader and the libraries that are installed (netflow,
ipfix: see the extra "bench") read the same ones in one process, one after the other, in changing order. Time is CPU
time of one thread, the median of the runs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import struct
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Read = Callable[[Sequence[bytes]], int]

EXPORT, UPTIME = 1_790_000_000, 3_600_000
PER_DATAGRAM = 24
AT_A_TIME = 1024
"""Datagrams that Yocho's collector reads together, at most."""
FIELDS = (
    (8, 4),
    (12, 4),
    (22, 4),
    (21, 4),
    (1, 4),
    (2, 4),
    (10, 4),
    (14, 4),
    (7, 2),
    (11, 2),
    (4, 1),
    (6, 1),
    (5, 1),
)
RECORD = struct.Struct(">IIIIIIIIHHBBB")


@dataclass(frozen=True)
class Row:
    """What one reader reached on one version."""

    exports: str
    reader: str
    flows: int
    flows_per_second: float
    times_slower: float


def record(random: Random) -> bytes:
    """Return a flow of the template `FIELDS`: probes and answers in equal numbers."""
    host, port = 0x0A000000 | random.randrange(1 << 16), random.randrange(1, 1024)
    ends = (0xC0000201, host, 40000, port) if random.random() < 0.5 else (host, 0xC0000201, port, 40000)
    began = UPTIME - random.randrange(60_000)
    flags = 2 if ends[2] == 40000 else 20
    return RECORD.pack(ends[0], ends[1], began, began, 60, 1, 1, 2, ends[2], ends[3], 6, flags, 0)


def v9_or_ipfix(number: int, random: Random, *, ipfix: bool) -> bytes:
    """Return a datagram; the template comes in each 20th."""
    records = b"".join(record(random) for _ in range(PER_DATAGRAM))
    sets = struct.pack(">HH", 256, 4 + len(records)) + records
    if number % 20 == 0:
        fields = b"".join(struct.pack(">HH", *field) for field in FIELDS)
        template = struct.pack(">HHHH", 2 if ipfix else 0, 8 + len(fields), 256, len(FIELDS)) + fields
        sets = template + sets
    if ipfix:
        return struct.pack(">HHIII", 10, 16 + len(sets), EXPORT, number * PER_DATAGRAM, 0) + sets
    return struct.pack(">HHIIII", 9, PER_DATAGRAM + (number % 20 == 0), UPTIME, EXPORT, number, 0) + sets


def v5(number: int, random: Random) -> bytes:
    """Return a datagram of v5."""
    records = b""
    for _ in range(PER_DATAGRAM):
        source, target, first, last, size, packets, _, _, *ports, kind, flags, _ = RECORD.unpack(record(random))
        records += struct.pack(">III4xIIII", source, target, 0, packets, size, first, last)
        records += struct.pack(">HHxBB9x", *ports, flags, kind)
    return struct.pack(">HHIIIIBBH", 5, PER_DATAGRAM, UPTIME, EXPORT, 0, number * PER_DATAGRAM, 0, 0, 0) + records


def yocho(datagrams: Sequence[bytes]) -> int:
    """Read with Yocho, as its collector does."""
    from service.capture.hosts import HostTable
    from service.capture.netflow import Exports

    exports = Exports(HostTable())
    return sum(len(exports.read(datagrams[at : at + AT_A_TIME])) for at in range(0, len(datagrams), AT_A_TIME))


def yocho_joined(datagrams: Sequence[bytes]) -> int:
    """Read with Yocho, and join the two directions of flows."""
    from service.capture.flow_pairs import FlowPairs
    from service.capture.hosts import HostTable
    from service.capture.netflow import Exports

    exports, pairs, count = Exports(HostTable()), FlowPairs(), 0
    for at in range(0, len(datagrams), AT_A_TIME):
        flows = exports.read(datagrams[at : at + AT_A_TIME])
        pairs.join(flows)
        count += len(flows)
    pairs.finish()
    return count


def with_netflow(datagrams: Sequence[bytes]) -> int:
    """Read with the library netflow."""
    import netflow

    templates: dict[str, Any] = {"netflow": {}, "ipfix": {}}
    return sum(len(netflow.parse_packet(data, templates).flows) for data in datagrams)


def with_ipfix(datagrams: Sequence[bytes]) -> int:
    """Read with the library ipfix (python-ipfix), which knows IPFIX only."""
    import ipfix.ie
    import ipfix.message

    ipfix.ie.use_iana_default()
    buffer, count = ipfix.message.MessageBuffer(), 0
    for data in datagrams:
        buffer.from_bytes(data)
        count += sum(1 for _ in buffer.namedict_iterator())
    return count


def readers(exports: str) -> dict[str, Read]:
    """Return the readers of a version that are installed; Yocho's is the first."""
    found: dict[str, Read] = {"Yocho": yocho, "Yocho, directions joined": yocho_joined}
    if importlib.util.find_spec("netflow"):
        found["netflow"] = with_netflow
    if exports == "IPFIX" and importlib.util.find_spec("ipfix"):
        found["ipfix"] = with_ipfix
    return found


def measure(exports: str, datagrams: Sequence[bytes], runs: int) -> list[Row]:
    """Return the medians of all readers on the same datagrams."""
    contenders = readers(exports)
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for name, read in contenders.items():
        if read(datagrams) != len(datagrams) * PER_DATAGRAM:
            raise RuntimeError(f"{name} did not read all flows of {exports}")
    order = list(contenders)
    for _ in range(runs):
        for name in order:
            began = time.process_time()
            contenders[name](datagrams)
            taken[name].append(time.process_time() - began)
        order = order[1:] + order[:1]
    medians = {name: statistics.median(times) for name, times in taken.items()}
    flows = len(datagrams) * PER_DATAGRAM
    return [Row(exports, name, flows, flows / took, took / medians["Yocho"]) for name, took in medians.items()]


def versions() -> str:
    """Return the versions of Python and of the libraries that are installed."""
    told = [f"Python {platform.python_version()}"]
    for name in ("netflow", "ipfix"):
        try:
            told.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            told.append(f"{name} not installed")
    return ", ".join(told)


def markdown(rows: list[Row]) -> str:
    """Return the table of results."""
    lines = [
        "# Flows per CPU-second from exporters' datagrams",
        "",
        f"{versions()}; one thread, CPU time, median of interleaved runs; see `benchmarks/ingest/netflow.py`.",
        "",
        "| exports | reader | flows per CPU-second | times slower than Yocho |",
        "|---|---|---|---|",
    ]
    lines += [f"| {r.exports} | {r.reader} | {r.flows_per_second:,.0f} | {r.times_slower:.1f} |" for r in rows]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write netflow.json and netflow.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/ingest"))
    parser.add_argument("--datagrams", type=int, default=4000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    random = Random(1)  # noqa: S311  (traffic, no secret)
    made = {
        "NetFlow v5": [v5(n, random) for n in range(options.datagrams)],
        "NetFlow v9": [v9_or_ipfix(n, random, ipfix=False) for n in range(options.datagrams)],
        "IPFIX": [v9_or_ipfix(n, random, ipfix=True) for n in range(options.datagrams)],
    }
    rows = [row for exports, datagrams in made.items() for row in measure(exports, datagrams, options.runs)]
    options.output.mkdir(parents=True, exist_ok=True)
    results = {"versions": versions(), "rows": [asdict(row) for row in rows]}
    (options.output / "netflow.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (options.output / "netflow.md").write_text(markdown(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
