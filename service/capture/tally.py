"""Packets that can't be followed, by reason: nothing is lost silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from service.capture.kernels import headers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REASONS = {
    headers.TRUNCATED: "truncated_headers",
    headers.MALFORMED: "malformed_ip",
    headers.FRAGMENT: "later_fragment",
    headers.LLC: "llc",
    headers.ARP_OTHER: "arp_other",
    headers.ADDRESSES: "address_table_full",
}


def new_tally() -> NDArray[np.int64]:
    """Return a tally of zeros for the decoding kernel."""
    return np.zeros(headers.TALLY_SIZE, dtype=np.int64)


def tally_reasons(tally: NDArray[np.int64]) -> dict[str, int]:
    """Return the counts that are not zero under names such as ``ethertype/0x88cc`` or ``ip_protocol/47``."""
    return {_reason(int(at)): int(tally[at]) for at in np.flatnonzero(tally)}


def _reason(at: int) -> str:
    if at < headers.ETHERTYPE:
        return _REASONS[at]
    if at < headers.PROTOCOL:
        return f"ethertype/{at - headers.ETHERTYPE:#06x}"
    if at < headers.ICMP_TYPE:
        return f"ip_protocol/{at - headers.PROTOCOL}"
    if at < headers.ICMP6_TYPE:
        return f"icmp_type/{at - headers.ICMP_TYPE}"
    if at < headers.LINK_TYPE:
        return f"icmp6_type/{at - headers.ICMP6_TYPE}"
    return f"link_type/{at - headers.LINK_TYPE}"
