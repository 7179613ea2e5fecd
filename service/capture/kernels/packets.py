"""Records to columns, through all that packets are wrapped in.

The loop of `headers` runs over the records and stops at each that is wrapped in something rare. `unwrap` finds the
packet that is meant, the loop runs over that one alone, and then goes on: the rows keep the order of the capture.
All of this is compiled only where it is needed: most captures hold nothing rare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.capture.kernels.fields import AT, END, FORM, PADDED
from service.capture.kernels.headers import decode_plain
from service.capture.kernels.tunnels import unwrap
from service.compiled import compiled

BUILT_ON = "b863535a42271526"


@compiled
def decode_wrapped(
    stopped: int,
    count: int,
    inside: bool,
    data: NDArray[np.uint8],
    offset: NDArray[np.int64],
    length: NDArray[np.int64],
    time: NDArray[np.int64],
    link: NDArray[np.int64],
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
    recent: NDArray[np.int64],
    layer: NDArray[np.int64],
) -> int:
    """Go on where `decode_plain` stopped, at a packet that `layer` tells, and return the rows in the columns.

    `inside`: of a packet in a tunnel the inner one is decoded, and the tunnel tallied by kind.
    """
    n = len(offset)
    inner_offset, inner_length, inner_link = np.empty(1, np.int64), np.empty(1, np.int64), np.empty(1, np.int64)
    first = np.int64(0)  # a literal would be a type of its own, and compile the loop twice
    i, rows = np.int64(stopped), np.int64(count)
    while i < n:
        layer[PADDED] = 0
        if unwrap(data, layer, inside, tally):
            inner_offset[0], inner_length[0], inner_link[0] = layer[AT], layer[END] - layer[AT], layer[FORM]
            _, rows = decode_plain(
                first, rows, data, inner_offset, inner_length, time[i : i + 1], inner_link, words, slots, tally,
                out_time, out_source, out_target, out_source_port, out_target_port, out_protocol, out_event,
                out_flags, recent, layer,
            )  # fmt: skip
        i, rows = decode_plain(
            i + 1, rows, data, offset, length, time, link, words, slots, tally, out_time, out_source, out_target,
            out_source_port, out_target_port, out_protocol, out_event, out_flags, recent, layer,
        )  # fmt: skip
    return rows
