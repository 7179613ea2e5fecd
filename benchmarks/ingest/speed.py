"""How fast captures come in, and what memory that takes: `python -m benchmarks.ingest.speed`.

Every contender reads the same file from the page cache in a process of its own, in turn with the others. Its CPU
time, user and system, is told in two parts. The start is paid once, whatever is read: Python, imports, and for
compiled loops that all of them are loaded from their cache, which takes reading the example capture twice, once
with next to no room. The reading is what the file takes after that. tshark starts anew for each file: its start is
what a file without packets takes. `yocho scan` is told as a whole, its start among the rest. Slow ones read a part
of the file. scapy dissects, dpkt parses, tshark prints the fields that are needed; they stop there, while
`whole way` goes on to directions, distinct targets and windows, and `yocho scan` to patterns and alerts.
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
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

from rich.progress import track

from benchmarks.ingest import traffic

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "lab.pcap"
MILLION = 10**6
SIZES = (MILLION, 10 * MILLION, 30 * MILLION)


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


def load_decoder() -> None:
    """Have the loops loaded that decode packets."""
    decode_and_count(EXAMPLE)


def whole_way(path: Path, pairs: int = 1 << 17) -> None:
    """From bytes to the counts of windows, with room for so many pairs in each."""
    from service.capture.file import CaptureFile
    from service.reading import Reading, ReadingSpec, read_windows
    from service.windows.assign import SECOND, WindowSpec
    from service.windows.budget import Budget

    spec = ReadingSpec(windows=WindowSpec.usual(60 * SECOND, Budget(pairs)))
    deque(read_windows([CaptureFile(path)], "bench", spec, Reading()), maxlen=0)


def load_all() -> None:
    """Have all loops loaded, also those for windows that are full."""
    whole_way(EXAMPLE)
    whole_way(EXAMPLE, 64)


def by_yocho(path: Path) -> None:
    """Run the whole command."""
    command = [sys.executable, "-c", "from service.wiring import main; main()", "scan", str(path)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


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
    load: Callable[[], None] = lambda: None
    """What has to be loaded besides what reading a file without packets loads."""
    anew: bool = False
    """Whether it starts anew for each file."""
    apart: bool = True
    """Whether its start is told apart."""


CONTENDERS = (
    Contender("page cache, read only", read_only, 10**9),
    Contender("decode and count", decode_and_count, 10**9, load_decoder),
    Contender("whole way", whole_way, 10**9, load_all),
    Contender("yocho scan", by_yocho, 10**9, anew=True, apart=False),
    Contender("tshark -T fields", by_tshark, 200_000, anew=True),
    Contender("dpkt", by_dpkt, 300_000),
    Contender("scapy", by_scapy, 20_000),
)
NAMED = {contender.name: contender for contender in CONTENDERS}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process took; CPU seconds, user and system."""

    start: float
    """Before it could read packets; 0 where that is not told apart."""
    reading: float
    peak: float
    """MB of 10⁶ bytes"""


@dataclass(frozen=True, slots=True)
class Row:
    """What one contender took for one file: the median of some processes."""

    file: str
    name: str
    packets: int
    start: float
    seconds: float
    """CPU time of the reading."""
    peak: float
    """MB of 10⁶ bytes, the highest of all"""

    @property
    def speed(self) -> float:
        """Packets a CPU second, once started."""
        return self.packets / self.seconds

    @property
    def cells(self) -> tuple[str, ...]:
        """What was measured, as it is shown."""
        whole = self.packets / (self.start + self.seconds)
        nanoseconds = 1e9 * self.seconds / self.packets
        return (
            f"{self.start:.2f}" if self.start else "–",
            f"{nanoseconds:,.0f}",
            f"{self.speed:,.0f}",
            f"{whole:,.0f}",
        )


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those it waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measured(contender: Contender, path: Path, empty: Path) -> Cost:
    """Let a contender read a file in this process, which does nothing else."""
    contender.load()
    contender.read(empty)
    loaded = cpu_seconds()
    if contender.anew:
        contender.read(empty)
    begun = cpu_seconds()
    contender.read(path)
    start = begun - loaded if contender.anew else begun
    reading = cpu_seconds() - begun - (start if contender.anew else 0)
    if not contender.apart:
        start, reading = 0.0, start + reading
    # Not getrusage for oneself: it counts the parent's memory, which a child has until it runs a program.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    kilobytes = max(int(peak.split()[1]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    return Cost(start, max(reading, 1e-3), kilobytes * 1024 / 1e6)


def run(contender: Contender, path: Path, empty: Path) -> Cost:
    """Return what a process of its own takes to read the file."""
    command = [sys.executable, "-m", __spec__.name, "--read", contender.name, str(path), str(empty)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Cost(**json.loads(told.stdout))


def rows_of(name: str, path: Path, packets: int, contenders: list[Contender], folder: Path, runs: int) -> list[Row]:
    """Return the rows of contenders for a file; they take turns."""
    empty = folder / "empty.pcap"
    empty.write_bytes(traffic.HEADER)
    costs: dict[str, list[Cost]] = {contender.name: [] for contender in contenders}
    parts = {}
    for contender in contenders:
        parts[contender.name] = path, packets
        if contender.packets < packets:
            part = folder / f"part-{contender.packets}.pcap"
            cut(path, part, contender.packets)
            parts[contender.name] = part, contender.packets
    for _ in track(range(runs), name):
        for contender in contenders:
            costs[contender.name].append(run(contender, parts[contender.name][0], empty))
    return [_row(name, who, parts[who][1], taken) for who, taken in costs.items()]


def _row(file: str, who: str, packets: int, taken: list[Cost]) -> Row:
    start, seconds = (median(getattr(cost, name) for cost in taken) for name in ("start", "reading"))
    return Row(file, who, packets, start, seconds, max(cost.peak for cost in taken))


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
    parser.add_argument("--read", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--cut", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        cost = measured(NAMED[options.read[0]], Path(options.read[1]), Path(options.read[2]))
        sys.stdout.write(json.dumps(asdict(cost)))
    elif options.cut:
        cut_here(Path(options.cut[1]), Path(options.cut[2]), int(options.cut[0]))
    else:
        compare(options.output, options.packets, options.runs)


def compare(output: Path, packets: int, runs: int) -> None:
    """Make the files, let all read them, and write the tables."""
    rows: list[Row] = []
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="yocho-bench-") as place:
        folder = Path(place)
        path = folder / "traffic.pcap"
        present = [one for one in CONTENDERS if one.read is not by_tshark or shutil.which("tshark")]
        for name, make in (("mix", _mix), ("sweep", traffic.sweep), ("strangers", traffic.strangers)):
            make(path, packets)
            rows += rows_of(name, path, packets, present, folder, runs)
            loads.append(os.getloadavg()[0])
        for size in SIZES:
            _mix(path, size)
            name = f"mix of {size // MILLION} million"
            rows += rows_of(name, path, size, [NAMED["whole way"]], folder, runs)
            rows += rows_of(name, path, size, [NAMED["yocho scan"]], folder, 1)
            loads.append(os.getloadavg()[0])
    output.mkdir(parents=True, exist_ok=True)
    about = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": {name: version(name) for name in ("numpy", "numba", "scapy", "dpkt")},
        "load": f"{min(loads):.1f} to {max(loads):.1f}",
    }
    text = json.dumps({**about, "rows": [asdict(row) for row in rows]}, indent=1)
    (output / "speed.json").write_text(text + "\n", "utf-8")
    (output / "speed.md").write_text(markdown(about, rows), "utf-8")


def _mix(path: Path, packets: int) -> None:
    traffic.mix(path, EXAMPLE, packets)


def markdown(about: Mapping[str, object], rows: list[Row]) -> str:
    """Return the tables."""
    assert __doc__ is not None  # noqa: S101  (it stands above)
    lines = ["# Captures", "", f"{about['machine']}; {about['versions']}. Runnable processes in the meantime"]
    lines[-1] += f" (load average, ours among them): {about['load']}, on shared machines: believe ratios."
    lines += ["", __doc__.split("\n\n", 1)[1].strip(), ""]
    lines += ["| file | contender | packets | start, s | ns a packet | packets a CPU second | with the start |"]
    lines[-1] += " × scapy | × dpkt | × tshark | peak MB |"
    lines += ["|---" * 11 + "|"]
    for row in rows:
        peers = {one.name: one.speed for one in rows if one.file == row.file}
        times = [
            f"{row.speed / peers[peer]:.3g}" if peer in peers else "–"
            for peer in ("scapy", "dpkt", "tshark -T fields")
        ]
        cells = (row.file, row.name, f"{row.packets:,}", *row.cells, *times, f"{row.peak:.0f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
