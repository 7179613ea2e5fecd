"""TCP's flags as they stand in its header (RFC 9293, 3.1)."""

from __future__ import annotations

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))

_LETTERS = {"F": FIN, "S": SYN, "R": RST, "P": PSH, "A": ACK, "U": URG, "E": ECE, "C": CWR}


def parse_flags(letters: str) -> int:
    """Return the flags that letters stand for, such as ``.AP.SF``; other characters stand for none."""
    found = 0
    for letter in letters:
        found |= _LETTERS.get(letter, 0)
    return found
