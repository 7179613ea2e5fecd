"""Packets that can't be followed, by reason: nothing is lost silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.capture.kernels import reasons

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REASONS = {
    reasons.TRUNCATED: "truncated_headers",
    reasons.MALFORMED: "malformed_ip",
    reasons.FRAGMENT: "later_fragment",
    reasons.LLC: "llc",
    reasons.ARP_OTHER: "arp_other",
    reasons.ADDRESSES: "address_table_full",
    reasons.TCP_CUT: "tcp_cut_before_flags",
    reasons.NESTED: "nested_too_deeply",
    reasons.WLAN_NO_DATA: "wlan_no_data",
    reasons.WLAN_PROTECTED: "wlan_protected",
    reasons.DAMAGED: "damaged_frame",
}
_SECTIONS = (
    (reasons.PPP_PROTOCOL, "ppp_protocol/{:#06x}"),
    (reasons.LINK_TYPE, "link_type/{}"),
    (reasons.ICMP6_TYPE, "icmp6_type/{}"),
    (reasons.ICMP_TYPE, "icmp_type/{}"),
    (reasons.PROTOCOL, "ip_protocol/{}"),
    (reasons.ETHERTYPE, "ethertype/{:#06x}"),
)
_TUNNELS = {
    reasons.GRE: "gre",
    reasons.ERSPAN: "erspan",
    reasons.IP_IN_IP: "ip_in_ip",
    reasons.SIX_IN_FOUR: "6in4",
    reasons.TEREDO: "teredo",
    reasons.VXLAN: "vxlan",
    reasons.GENEVE: "geneve",
    reasons.GTP: "gtp",
}


def new_tally() -> NDArray[np.int64]:
    """Return a tally of zeros for the decoding kernel."""
    return np.zeros(reasons.TALLY_SIZE, dtype=np.int64)


def tally_reasons(tally: NDArray[np.int64]) -> dict[str, int]:
    """Return the counts that are not zero under names such as ``ethertype/0x88cc`` or ``ip_protocol/47``."""
    return {_reason(int(at)): int(tally[at]) for at in np.flatnonzero(tally[: reasons.TUNNEL])}


def tally_tunnels(tally: NDArray[np.int64]) -> dict[str, int]:
    """Return how many packets were read through a tunnel, by the kind of the outermost one, such as ``gre``."""
    opened = tally[reasons.TUNNEL :]
    return {_TUNNELS[int(at)]: int(opened[at]) for at in np.flatnonzero(opened)}


def _reason(at: int) -> str:
    if at < reasons.ETHERTYPE:
        return _REASONS[at]
    first, name = next((first, name) for first, name in _SECTIONS if at >= first)
    return name.format(at - first)
