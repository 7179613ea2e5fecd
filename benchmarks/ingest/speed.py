"""How fast captures come in: `python -m benchmarks.ingest.speed`.

Every contender reads the same file from the page cache, one after the other, in a process of its own whose CPU
time counts, user and system, less that of a run over a file without packets: start and imports are not compared.
Slow ones read a part of the file. scapy dissects, dpkt parses, tshark prints the fields that are needed; they stop
there, while `whole way` goes on to directions, distinct targets and windows. Reading and decoding alone take about
as long as the start that is taken off: those figures vary by half from run to run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from rich.progress import track

from benchmarks.ingest import traffic

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "lab.pcap"
MILLION = 10**6


def read_only(path: Path) -> None:
    """Read the file as it is: the limit."""
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(1 << 22)
        while file.readinto(buffer):
            pass


def decode_and_count(path: Path) -> None:
    """Decode all headers, and count packets by event."""
    import numpy as np

    from service.capture.file import CaptureFile

    counts = np.zeros(8, np.int64)
    for batch in CaptureFile(path).batches():
        counts += np.bincount(batch.event, minlength=8)


def whole_way(path: Path) -> None:
    """From bytes to the counts of windows."""
    from service.capture.file import CaptureFile
    from service.reading import Reading, ReadingSpec, read_windows
    from service.windows.assign import WindowSpec

    deque(read_windows([CaptureFile(path)], "bench", ReadingSpec(windows=WindowSpec.usual()), Reading()), maxlen=0)


def by_scapy(path: Path) -> None:
    """Dissect whole packets."""
    from scapy.layers.inet import IP, TCP  # noqa: F401  (what a scan detector would look at)
    from scapy.utils import PcapReader

    counts: dict[str, int] = {}
    with PcapReader(str(path)) as reader:
        for packet in reader:
            name = str(packet.lastlayer().name)
            counts[name] = counts.get(name, 0) + 1


def by_dpkt(path: Path) -> None:
    """Parse Ethernet, IP and TCP or UDP."""
    import dpkt

    counts: dict[str, int] = {}
    with path.open("rb") as file:
        for _, data in dpkt.pcap.Reader(file):
            packet = dpkt.ethernet.Ethernet(data)
            name = type(packet.data.data if isinstance(packet.data, dpkt.ip.IP) else packet.data).__name__
            counts[name] = counts.get(name, 0) + 1


def by_tshark(path: Path) -> None:
    """Print the fields that a scan detector needs."""
    fields = ("frame.time_epoch", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "tcp.flags", "udp.dstport")
    wanted = [part for field in fields for part in ("-e", field)]
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", *wanted]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@dataclass(frozen=True, slots=True)
class Contender:
    """Who reads, and the largest share of a file that it has the time for."""

    name: str
    read: Callable[[Path], None]
    packets: int


CONTENDERS = (
    Contender("page cache, read only", read_only, 10**9),
    Contender("decode and count", decode_and_count, 10**9),
    Contender("whole way", whole_way, 10**9),
    Contender("tshark -T fields", by_tshark, 200_000),
    Contender("dpkt", by_dpkt, 300_000),
    Contender("scapy", by_scapy, 20_000),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one contender took for one file: the median of some runs."""

    file: str
    name: str
    packets: int
    seconds: float
    """CPU time, user and system, less that of an empty file."""
    peak: float
    """MB"""

    @property
    def speed(self) -> float:
        """Packets a CPU second."""
        return self.packets / self.seconds


def run(contender: Contender, path: Path) -> tuple[float, float]:
    """Return CPU seconds and peak memory in MB of a process that reads the file."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", __spec__.name, "--read", contender.name, str(path)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, float(told.stdout)


def measure(name: str, path: Path, packets: int, contender: Contender, folder: Path, runs: int) -> Row:
    """Return the row of a contender for a file."""
    part, count = path, packets
    if contender.packets < packets:
        part, count = folder / "part.pcap", contender.packets
        cut(path, part, count)
    empty = folder / "empty.pcap"
    empty.write_bytes(traffic.HEADER)
    base = min(run(contender, empty)[0] for _ in range(runs))
    taken = sorted(run(contender, part) for _ in range(runs))
    seconds, peak = taken[len(taken) // 2]
    return Row(name, contender.name, count, max(seconds - base, 1e-3), peak)


def cut(path: Path, part: Path, packets: int) -> None:
    """Write packets from all over a file: every so many-th run of a thousand."""
    subprocess.run([sys.executable, "-m", __spec__.name, "--cut", str(packets), str(path), str(part)], check=True)


def cut_here(path: Path, part: Path, packets: int) -> None:
    """Do what `cut` asks for, in a process whose memory does not count."""
    data = path.read_bytes()
    offsets, _ = traffic.records(data)
    step = max(1, len(offsets) // packets)
    ends = [*offsets[1:].tolist(), len(data)]
    with part.open("wb") as file:
        file.write(data[:24])
        for begin in range(0, len(offsets), 1000 * step):
            last = min(begin + 1000, len(offsets)) - 1
            file.write(data[int(offsets[begin]) : ends[last]])


def main() -> None:
    """Measure, and write speed.json and speed.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/ingest"))
    parser.add_argument("--packets", type=int, default=3 * MILLION)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--cut", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        named = {contender.name: contender for contender in CONTENDERS}
        named[options.read[0]].read(Path(options.read[1]))
        # Not getrusage: its peak counts the parent's memory, which a child has until it runs a program.
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
        sys.stdout.write(str(int(peak.split()[1]) / 1024))
    elif options.cut:
        cut_here(Path(options.cut[1]), Path(options.cut[2]), int(options.cut[0]))
    else:
        compare(options.output, options.packets, options.runs)


def compare(output: Path, packets: int, runs: int) -> None:
    """Make the files, let all read them, and write the tables."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="yocho-bench-") as place:
        folder = Path(place)
        files = {name: folder / f"{name}.pcap" for name in ("mix", "sweep", "strangers")}
        traffic.mix(files["mix"], EXAMPLE, packets)
        traffic.sweep(files["sweep"], packets)
        traffic.strangers(files["strangers"], packets)
        present = [one for one in CONTENDERS if one.read is not by_tshark or shutil.which("tshark")]
        for name, contender in track([(name, one) for name in files for one in present], "Reading"):
            rows.append(measure(name, files[name], packets, contender, folder, runs))
        for size in (MILLION, 10 * MILLION, 30 * MILLION):
            traffic.mix(folder / "size.pcap", EXAMPLE, size)
            whole = CONTENDERS[2]
            rows.append(measure(f"mix of {size // MILLION} million", folder / "size.pcap", size, whole, folder, 1))
    output.mkdir(parents=True, exist_ok=True)
    about = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("numpy", "numba", "scapy", "dpkt")},
    }
    text = json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=1)
    (output / "speed.json").write_text(text + "\n", "utf-8")
    (output / "speed.md").write_text(markdown(about, rows), "utf-8")


def markdown(about: Mapping[str, object], rows: list[Row]) -> str:
    """Return the tables."""
    lines = ["# Captures", "", f"{about['machine']}; {about['versions']}. {__doc__.split('.', 1)[1].strip()}", ""]
    lines += ["| file | contender | packets | packets a CPU second | × scapy | × dpkt | × tshark | peak MB |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for row in rows:
        peers = {one.name: one.speed for one in rows if one.file == row.file}
        times = [
            f"{row.speed / peers[peer]:.3g}" if peer in peers else "–"
            for peer in ("scapy", "dpkt", "tshark -T fields")
        ]
        cells = (row.file, row.name, f"{row.packets:,}", f"{row.speed:,.0f}", *times, f"{row.peak:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
