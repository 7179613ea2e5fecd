"""Records to columns, through all that packets are wrapped in.

The loop of `headers` runs over the records and stops at each that is wrapped in something rare. `unwrap` finds the
packet that is meant, the loop runs over that one alone, and then goes on: the rows keep the order of the capture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.fields import AT, END, FORM, LAYER_SIZE, PADDED
from service.capture.kernels.headers import decode_plain
from service.capture.kernels.tunnels import unwrap
from service.compiled import compiled

BUILT_ON = "7c24827a05166552"


@compiled
def decode(
    data: NDArray[np.uint8],
    offset: NDArray[np.int64],
    length: NDArray[np.int64],
    time: NDArray[np.int64],
    link: NDArray[np.int64],
    inside: bool,
    words: NDArray[np.int64],
    slots: NDArray[np.int32],
    tally: NDArray[np.int64],
    out_time: NDArray[np.int64],
    out_source: NDArray[np.uint32],
    out_target: NDArray[np.uint32],
    out_source_port: NDArray[np.uint16],
    out_target_port: NDArray[np.uint16],
    out_protocol: NDArray[np.uint8],
    out_event: NDArray[np.uint8],
    out_flags: NDArray[np.uint16],
) -> int:
    """Decode records into columns and return how many packets can be followed; the rest is tallied by reason.

    `inside`: of a packet in a tunnel the inner one is decoded, and the tunnel tallied by kind. An ICMP error is
    told as an event of the conversation that it quotes. Requests other than TCP and UDP go from port 0 to the
    number of their service (`service.capture.services`), and replies back: so two hosts that ask each other have
    two conversations.
    """
    n = len(offset)
    layer = np.zeros(2 * LAYER_SIZE, dtype=np.int64)
    inner = np.empty((3, 1), dtype=np.int64)  # a record: offset, length, link type
    i, count = 0, 0
    while True:
        i, count = decode_plain(
            i, count, data, offset, length, time, link, words, slots, tally, out_time, out_source, out_target,
            out_source_port, out_target_port, out_protocol, out_event, out_flags, layer,
        )  # fmt: skip
        if i == n:
            return count
        layer[PADDED] = 0
        if unwrap(data, layer, inside, tally):
            inner[0, 0], inner[1, 0], inner[2, 0] = layer[AT], layer[END] - layer[AT], layer[FORM]
            _, count = decode_plain(
                0, count, data, inner[0], inner[1], time[i : i + 1], inner[2], words, slots, tally, out_time,
                out_source, out_target, out_source_port, out_target_port, out_protocol, out_event, out_flags, layer,
            )  # fmt: skip
        i += 1
