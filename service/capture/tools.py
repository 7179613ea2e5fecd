"""What scanners leave in the headers of their probes.

Ghiëtte, Blenn and Doerr, "Remote identification of port scan toolchains", NTMS 2016, and the tools' own sources:

- zmap writes the IPv4 identification 54321, unless told otherwise (newer versions by default another one).
- masscan writes as identification the lower half of target, target's port and sequence number, xor-ed.
- Mirai writes the target's address as sequence number.
- nmap's raw probes have a window of 1, 2, 3 or 4 KiB, and one option, a maximum segment size of 1460, in a SYN or
  none in other probes; and the halves of their sequence number (of a bare ACK: of its acknowledgement) differ by a
  mask that holds for the whole scan.
- unicornscan xors a key, which holds for the whole scan, with the target's address as a little-endian machine reads
  it, the target's port and its own: that is the sequence number.

The last two take two probes to see. The latest probe of a source is kept in a small table (`recent` of
`service.capture.kernels.headers.decode_plain`), in which sources push each other out: there a mark is missed, not
made up.
"""

from __future__ import annotations

from enum import IntFlag


class Marks(IntFlag):
    """What the packet of an attempt shows; the first five stand in `PacketBatch.flags` in the same order."""

    ZMAP = 1
    MASSCAN = 2
    MIRAI = 4
    NMAP = 8
    UNICORNSCAN = 16
    SHOWN = 32
    """The packet was seen at all: logs and exports tell of none."""
    ALONE = 64
    """It is a SYN as systems send them, and the first of its connection: no retry."""
