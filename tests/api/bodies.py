"""Generated bodies of ``POST /v1/windows``: right, slightly wrong, and plainly wrong ones."""

from __future__ import annotations

import gzip
import json
from typing import Any

from backports import zstd
from hypothesis import strategies as st

from service.windows.wire import write_window
from tests.api.posts import ROW, TOTALS, WINDOW
from tests.builders import a_window

PCAP_HEADER = bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000")
LOG = b'{"event_type": "flow", "src_ip": "192.0.2.1"}\n'

_TIMES = st.sampled_from(
    ["2026-03-01T12:00:00Z", "2026-03-01T12:01:00Z", 1772366400, 1772366460.5, "2026-03-01T12:00:00", -1, None]
)
_ADDRESSES = st.sampled_from(["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "224.0.0.1", "router", "", 7])
_SERVICES = st.sampled_from(["tcp/23", "udp/53", "icmp/echo", "tcp/33434", "tcp/99999", "ssh", ""])
_COUNTS = st.sampled_from([0, 1, 2, 3, 41, 10**12, 10**12 + 1, 10**50, -1, 1.0, True, "1", None])
_USUAL = st.sampled_from([1, 2, 3])


def _documents(usual: dict[str, Any], odd: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return documents like a usual one, with some of its values made odd, left out, or added."""
    changes = st.fixed_dictionaries({}, optional=odd)
    without = st.sets(st.sampled_from(sorted(usual)), max_size=1) | st.just(set[str]())
    return st.builds(
        lambda change, gone: {key: value for key, value in (usual | change).items() if key not in gone},
        changes,
        st.just(set[str]()) | without,
    )


ROWS = st.fixed_dictionaries(
    {
        "source": st.sampled_from(["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
        "service": st.sampled_from(["tcp/23", "udp/53", "icmp/echo", "tcp/33434", "tcp/33435"]),
        "attempts": st.integers(3, 9),
        "targets": st.integers(2, 3),
        "answered": st.integers(0, 2),
    }
)
ODD_ROWS = _documents(
    ROW,
    {
        "source": _ADDRESSES,
        "service": _SERVICES,
        "attempts": _COUNTS,
        "targets": _COUNTS,
        "answered": _COUNTS,
        "x": _COUNTS,
    },
)
ODD_TOTALS = _documents(
    TOTALS,
    {
        "source": _ADDRESSES,
        "targets": _COUNTS | _USUAL,
        "most_services_on_one_target": _COUNTS | _USUAL,
        "most_targets_of_one_service": _COUNTS | _USUAL,
        "targets_sample": st.lists(_ADDRESSES, max_size=3),
    },
)
WINDOWS = _documents(
    WINDOW | {"rows": [ROW]},
    {
        "sensor": st.sampled_from(["edge", "roof", "", "a\0", "x" * 101, None]),
        "start": _TIMES,
        "end": _TIMES,
        "rows": st.lists(ROWS, max_size=5) | st.lists(ODD_ROWS, max_size=3) | _COUNTS,
        "sources": st.lists(ODD_TOTALS, max_size=2) | _COUNTS,
        "x": _COUNTS,
    },
)
"""Documents of windows, most of which are wrong somewhere."""

RIGHT_WINDOWS = st.fixed_dictionaries(
    {
        "sensor": st.sampled_from(["edge", "roof", "büro"]),
        "start": st.sampled_from(["2026-03-01T12:00:00Z", 1772366400, 1772366400.5]),
        "end": st.sampled_from(["2026-03-01T13:01:00+01:00", 1772366460, "2026-03-02T11:59:59.999999999Z"]),
        "rows": st.lists(ROWS, max_size=4, unique_by=lambda row: (row["source"], row["service"])),
    },
    optional={"sources": st.just([])},
)


def _damaged(whole: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return the same, now and then with a byte changed, or cut off."""

    def change(data: bytes, at: int, byte: int) -> bytes:
        at = at % len(data) if data else 0
        return data[:at] + bytes([byte]) + data[at + 1 :]

    return st.one_of(
        whole,
        st.builds(change, whole, st.integers(0, 400), st.integers(0, 255)),
        st.builds(lambda data, at: data[:at], whole, st.integers(0, 200)),
        st.binary(max_size=40),
    )


_TEXTS = WINDOWS.map(json.dumps) | RIGHT_WINDOWS.map(json.dumps) | RIGHT_WINDOWS.map(json.dumps)
TEXTS = _damaged(_TEXTS.map(str.encode))
LINES = _damaged(st.lists(_TEXTS, max_size=3).map("\n".join).map(str.encode)) | st.just(LOG)
DOCUMENTS = _damaged(st.sampled_from([write_window(a_window()), write_window(a_window("roof"))]))
CAPTURES = _damaged(st.sampled_from([PCAP_HEADER, b"capture:w", b"capture:"]))
LOGS = _damaged(st.just(LOG))
PACKED = _damaged(CAPTURES.map(gzip.compress) | CAPTURES.map(zstd.compress))
