"""The signature by which a receiver knows that an event is ours, whole and new."""

from __future__ import annotations

import hashlib
import hmac

HEADER = "Yocho-Signature"


def sign(secret: bytes, timestamp: int, body: bytes) -> str:
    """Return the value of the header: ``t=TIMESTAMP,v1=HEX``.

    HEX is HMAC-SHA256 (RFC 2104) of the timestamp in seconds since the epoch, a dot, and the body.
    """
    return f"t={timestamp},v1={hmac.new(secret, b'%d.' % timestamp + body, hashlib.sha256).hexdigest()}"
