"""Events as messages of syslog (RFC 5424) with a line of the Common Event Format.

Over UDP a message is a datagram (RFC 5426), over TCP its length stands before it (RFC 6587, 3.4.1, octet counting),
and so it does over TLS (RFC 5425). None of them has answers: over UDP a message counts as taken when it is sent,
over TCP and TLS when the receiver's system has acknowledged it.
"""

from __future__ import annotations

import errno
import fcntl
import socket
import ssl
import struct
import termios
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from service.errors import DeliveryError
from service.export.document import format_time
from service.export.severity import Severity, severity_of
from service.outputs.forms import Form, written

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.outputs.output import Notice

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
"""By their numbers (RFC 5424, table 1)."""

_LEVELS = {Severity.HIGH: 3, Severity.MEDIUM: 4, Severity.LOW: 5}
"""error, warning, notice (RFC 5424, table 2)"""
_ENTERPRISE = 32473
"""We have no number of IANA's; this one is for examples (RFC 5612), so nobody else's field is meant."""
_LONGEST_HOST = 255
_UNACKNOWLEDGED = 0.002
"""Seconds between two looks at what the receiver has not acknowledged yet."""


class Carrier(StrEnum):
    """How messages travel."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class SyslogSpec:
    """Where messages go, and how."""

    carrier: Carrier
    host: str
    port: int
    facility: str = "local0"
    timeout: float = 10.0
    """Seconds to connect, and for a message to be acknowledged."""
    trust: ssl.SSLContext | None = None
    """Whom to believe over TLS that he is the receiver; by default, whom this system believes."""


class Syslog:
    """Sends messages; a connection that breaks off is opened again for the next try."""

    def __init__(self, spec: SyslogSpec, version: str, timer: Callable[[], float] = time.monotonic) -> None:
        self._spec, self._version, self._timer = spec, version, timer
        self._socket: socket.socket | None = None

    def deliver(self, notice: Notice) -> None:
        """See `Output`."""
        text = message(notice, self._spec.facility, self._version)
        try:
            if self._spec.carrier is Carrier.UDP:
                self._send_datagram(text)
            else:
                self._send_counted(text)
        except OSError as error:
            self.close()
            why = error.strerror or str(error) or type(error).__name__
            where = f"{self._spec.carrier.value}://{self._spec.host}:{self._spec.port}"
            too_long = error.errno == errno.EMSGSIZE
            raise DeliveryError(f"{where}: {why}", permanent=too_long, away=not too_long) from error

    def close(self) -> None:
        """See `Output`."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send_datagram(self, text: bytes) -> None:
        if self._socket is None:
            spec = self._spec
            family, kind, protocol, _, address = socket.getaddrinfo(spec.host, spec.port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.connect(address)
        self._socket.send(text)
        # Nobody at a port of this machine is known at once.
        refused = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if refused:
            raise OSError(refused, "nobody listens there")

    def _send_counted(self, text: bytes) -> None:
        if self._socket is not None and _has_ended(self._socket):
            self.close()
        if self._socket is None:
            self._socket = self._connected()
        self._socket.settimeout(self._spec.timeout)
        self._socket.sendall(b"%d " % len(text) + text)
        self._wait_until_acknowledged(self._socket)

    def _connected(self) -> socket.socket:
        spec = self._spec
        connection = socket.create_connection((spec.host, spec.port), spec.timeout)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if spec.carrier is Carrier.TCP:
                return connection
            trust = spec.trust or ssl.create_default_context()
            return trust.wrap_socket(connection, server_hostname=spec.host)
        except OSError:
            connection.close()
            raise

    def _wait_until_acknowledged(self, connection: socket.socket) -> None:
        """Wait while a part of what was sent may not have arrived; where the system can't tell, don't."""
        end = self._timer() + self._spec.timeout
        while _unacknowledged(connection):
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                raise ConnectionResetError(errno.ECONNRESET, "the receiver broke the connection off")
            if self._timer() > end:
                raise TimeoutError(errno.ETIMEDOUT, "the receiver acknowledges nothing")
            time.sleep(_UNACKNOWLEDGED)


def message(notice: Notice, facility: str, version: str) -> bytes:
    """Return the message of an event (RFC 5424, 6).

    It is UTF-8 without the byte order mark that the standard wants: readers of CEF trip over it.
    """
    priority = FACILITIES.index(facility) * 8 + _LEVELS[severity_of(notice.alert)]
    host = "".join(each for each in socket.gethostname() if "!" <= each <= "~")[:_LONGEST_HOST] or "-"
    head = f"<{priority}>1 {format_time(notice.event.at)} {host} yocho - {notice.event.kind.value}"
    data = f'[yocho@{_ENTERPRISE} id="{notice.id}"]'
    return f"{head} {data} ".encode() + written(Form.CEF, notice, version)


def _has_ended(connection: socket.socket) -> bool:
    """Tell whether the receiver has closed a connection; what it says is left unheard."""
    connection.settimeout(0)
    try:
        return not connection.recv(4096)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True


def _unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes are sent and not acknowledged, or 0 if the system does not know."""
    try:
        found: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]
    except OSError:
        return 0
    return found
