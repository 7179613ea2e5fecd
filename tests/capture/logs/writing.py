"""The same flows as each tool writes them, and files of them read back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from service.capture.flow_direction import FlowDirection
from service.capture.formats import open_traffic
from service.capture.hosts import HostTable
from tests.capture.reading import told_by

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from service.capture.inputs import Input
    from service.capture.source import Losses
    from tests.reference import Told

SECOND = 10**9
START = 1_700_000_000 * SECOND


@dataclass(frozen=True)
class Flow:
    """A flow that its source began; whole seconds, since some tools know no others."""

    time: int
    source: str
    target: str
    protocol: str
    port: int
    outcome: str
    """unanswered, refused or answered"""
    source_port: int = 40_000

    @property
    def back(self) -> int:
        """Packets that came back; always one went."""
        return int(self.outcome != "unanswered")


FLOWS = (
    Flow(START, "192.0.2.7", "198.51.100.1", "tcp", 22, "unanswered"),
    Flow(START + SECOND, "192.0.2.7", "198.51.100.2", "tcp", 22, "answered"),
    Flow(START + 2 * SECOND, "2001:db8::7", "2001:db8::1", "tcp", 8080, "refused"),
    Flow(START + 3 * SECOND, "192.0.2.8", "198.51.100.53", "udp", 53, "answered"),
    Flow(START + 4 * SECOND, "192.0.2.8", "198.51.100.54", "udp", 161, "unanswered"),
)


@dataclass(frozen=True)
class Read:
    told: list[Told]
    losses: Losses


def read_log(path: Path, kind: Input | None = None, hosts: HostTable | None = None) -> Read:
    """Read a log to its end."""
    source = open_traffic(path, hosts or HostTable(), kind)
    direction = FlowDirection()
    told = []
    for batch in source.batches():
        for attempts in direction.follow(batch):  # type: ignore[arg-type]  # logs have no packets
            told += told_by(attempts, source.hosts)
    told += told_by(direction.finish(), source.hosts)
    return Read(told, source.losses())


def seconds(time: int) -> str:
    return f"{time // SECOND}.{time % SECOND:09d}"


def clock(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")


ZEEK_HEADER = (
    "#separator \\x09\n#unset_field\t-\n#path\tconn\n"
    "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tduration\tconn_state\thistory\torig_pkts\tresp_pkts\n"
)
_ZEEK = {
    ("tcp", "unanswered"): ("S0", "S"),
    ("tcp", "refused"): ("REJ", "Sr"),
    ("tcp", "answered"): ("SF", "ShADadFf"),
    ("udp", "unanswered"): ("S0", "D"),
    ("udp", "answered"): ("SF", "Dd"),
}


def zeek_line(flow: Flow) -> str:
    state, history = _ZEEK[flow.protocol, flow.outcome]
    ends = f"{flow.source}\t{flow.source_port}\t{flow.target}\t{flow.port}"
    return f"{seconds(flow.time)}\tC1\t{ends}\t{flow.protocol}\t0.5\t{state}\t{history}\t1\t{flow.back}\n"


def zeek_object(flow: Flow) -> str:
    state, history = _ZEEK[flow.protocol, flow.outcome]
    ends = {
        "id.orig_h": flow.source,
        "id.orig_p": flow.source_port,
        "id.resp_h": flow.target,
        "id.resp_p": flow.port,
    }
    rest = {"proto": flow.protocol, "duration": 1e-05, "conn_state": state, "history": history}
    text = json.dumps({"ts": 0, **ends, **rest, "orig_pkts": 1, "resp_pkts": flow.back})
    return text.replace('"ts": 0', f'"ts": {seconds(flow.time)}') + "\n"


def suricata_line(flow: Flow) -> str:
    back = {"unanswered": "00", "refused": "14", "answered": "1b"}[flow.outcome]
    tcp = {"tcp_flags_ts": "1b" if flow.outcome == "answered" else "02", "tcp_flags_tc": back}
    start = datetime.fromtimestamp(flow.time // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S.000000+0000")
    event = {
        "timestamp": start,
        "event_type": "flow",
        "src_ip": flow.source,
        "src_port": flow.source_port,
        "dest_ip": flow.target,
        "dest_port": flow.port,
        "proto": flow.protocol.upper(),
        "flow": {"pkts_toserver": 1, "pkts_toclient": flow.back, "start": start, "end": start, "state": "closed"},
        **({"tcp": tcp} if flow.protocol == "tcp" else {}),
    }
    return json.dumps(event) + "\n"


ARGUS_HEADER = (
    "StartTime,Dur,Proto,SrcAddr,Sport,Dir,DstAddr,Dport,State,sTos,dTos,TotPkts,TotBytes,SrcBytes,SrcPkts\n"
)


def argus_line(flow: Flow) -> str:
    flags = {"unanswered": "S_", "refused": "S_RA", "answered": "FSPA_FSPA"}[flow.outcome]
    state = flags if flow.protocol == "tcp" else {"unanswered": "INT", "answered": "CON"}[flow.outcome]
    way = "<->" if flow.protocol == "udp" and flow.back else " ->"
    ends = f"{flow.source},{flow.source_port},  {way},{flow.target},{flow.port}"
    return f"{seconds(flow.time)},0.500000,{flow.protocol},{ends},{state},0,0,{1 + flow.back},100,60,1\n"


NFDUMP_HEADER = "ts,te,td,sa,da,sp,dp,pr,flg,fwd,stos,ipkt,ibyt,opkt,obyt\n"
NFDUMP_NEW_HEADER = "firstSeen,lastSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,flags,packets,bytes\n"


def _directions(flow: Flow) -> list[tuple[str, int, str, int, str]]:
    """Return the records of one direction, each with its flags."""
    sent, back = {"unanswered": ("S", ""), "refused": ("S", "AR"), "answered": ("APSF", "APSF")}[flow.outcome]
    if flow.protocol == "udp":
        sent = back = ""
    there = (flow.source, flow.source_port, flow.target, flow.port, sent)
    return [there, (flow.target, flow.port, flow.source, flow.source_port, back)][: 1 + flow.back]


def _dotted(flags: str) -> str:
    return "".join(letter if letter in flags else "." for letter in "CEUAPRSF")


def nfdump_lines(flow: Flow) -> str:
    time = clock(flow.time)
    return "".join(
        f"{time},{time},0.000,{a},{b},{p},{q},{flow.protocol.upper()},{_dotted(flags)},0,0,1,40,0,0\n"
        for a, p, b, q, flags in _directions(flow)
    )


def nfdump_new_lines(flow: Flow) -> str:
    time = clock(flow.time)
    return "".join(
        f"{time}.000,{time}.000,0.000,{flow.protocol.upper()},{a},{p},{b},{q},{_dotted(flags)},1,40\n"
        for a, p, b, q, flags in _directions(flow)
    )


VPC_HEADER = (
    "version srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags\n"
)
_BITS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}


def vpc_lines(flow: Flow) -> str:
    start = flow.time // SECOND
    number = {"tcp": 6, "udp": 17}[flow.protocol]
    return "".join(
        f"5 {a} {b} {p} {q} {number} 1 40 {start} {start + 1} ACCEPT OK {sum(_BITS[flag] for flag in flags)}\n"
        for a, p, b, q, flags in _directions(flow)
    )


def vpc_rejected(flow: Flow) -> str:
    """Write a refused flow as version 2 has it."""
    start = flow.time // SECOND
    ends = f"{flow.source} {flow.target} {flow.source_port} {flow.port}"
    return f"2 123456789010 eni-1 {ends} 6 1 40 {start} {start + 60} REJECT OK\n"


TABLE_HEADER = "time,source,target,service,source port,packets,answered\n"


def table_line(flow: Flow) -> str:
    service = f"{flow.protocol}/{flow.port}"
    return f"{seconds(flow.time)},{flow.source},{flow.target},{service},{flow.source_port},1,{flow.outcome}\n"


@dataclass(frozen=True)
class Style:
    """How a tool writes flows."""

    header: str
    line: Callable[[Flow], str]
    tells_refusals: bool = True
    """Whether each record tells what became of its attempt, without another one."""

    def text(self, flows: Sequence[Flow]) -> str:
        return self.header + "".join(map(self.line, flows))
