"""Filters that the kernel runs before a packet is copied."""

from __future__ import annotations

import struct

from service.errors import CaptureError

Instruction = tuple[int, int, int, int]
"""code, jt, jf, k of struct sock_filter"""

SNAP_LENGTH = 512
"""Bytes of a packet that are kept: headers, also within tunnels."""

_RETURN_CONSTANT = 0x06


def compile_filter(expression: str, link: int) -> list[Instruction]:
    """Return the program of a filter in libpcap's language for a link type (LINKTYPE_*).

    An empty expression takes every packet. Raises CaptureError if libpcap is missing or refuses the expression.
    """
    if not expression.strip():
        return [(_RETURN_CONSTANT, 0, 0, SNAP_LENGTH)]
    from scapy.arch.common import compile_filter as libpcap_compile  # noqa: PLC0415  (slow to import)
    from scapy.error import Scapy_Exception  # noqa: PLC0415

    try:
        program = libpcap_compile(expression, linktype=link)
    except ImportError:
        raise CaptureError("a filter needs libpcap: install it (Debian: libpcap0.8), or leave --bpf out") from None
    except Scapy_Exception as error:
        raise CaptureError(f"--bpf {expression!r}: {error}") from None
    return [_kept(program.bf_insns[i]) for i in range(program.bf_len)]


def _kept(instruction: object) -> Instruction:
    """Return an instruction; one that accepts a packet keeps `SNAP_LENGTH` bytes of it."""
    code, jt, jf, k = (int(getattr(instruction, name)) for name in ("code", "jt", "jf", "k"))
    return code, jt, jf, min(k, SNAP_LENGTH) if code == _RETURN_CONSTANT else k


def packed(program: list[Instruction]) -> bytes:
    """Return the program as an array of struct sock_filter."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
