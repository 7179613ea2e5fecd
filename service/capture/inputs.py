"""The names of the kinds of input, for whoever chooses one: loading this loads no reader."""

from __future__ import annotations

from enum import StrEnum


class Input(StrEnum):
    """A kind of file that traffic is read from; `service.capture.formats` has a reader for each."""

    CAPTURE = "capture"
    """pcap or pcapng"""
    ZEEK = "zeek"
    """Zeek's conn.log, as tab-separated values or as JSON lines"""
    SURICATA = "suricata"
    """Suricata's eve.json; its flow events count"""
    NFDUMP = "nfdump"
    """What ``nfdump -o csv`` prints"""
    ARGUS = "argus"
    """What ``ra -c ,`` prints (binetflow)"""
    VPC = "vpc"
    """AWS VPC flow logs"""
    CSV = "csv"
    """Any table with named columns, see `service.capture.logs.table`"""
