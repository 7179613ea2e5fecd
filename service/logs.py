"""Structured logs: one JSON object a line on stderr, with what is worked on and without secrets."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from service.observe import current_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}

_HIDDEN = "***"
_TOKEN = re.compile(r"\byo_[A-Za-z0-9_-]{20,}")
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
# As far as the last @ of the word: a password may hold what should have been written with %.
_PASSWORD = re.compile(r"""(://[^\s:@/"']*):(?:\\.|[^\s"\\])+@""")


class Redaction:
    """Hides tokens, passwords in URLs, and the secrets that are named."""

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        # As they stand, and as they stand in JSON.
        forms = {form for secret in secrets if secret for form in (secret, json.dumps(secret)[1:-1])}
        self._forms = sorted(forms, key=len, reverse=True)

    def hide(self, text: str) -> str:
        """Return the text without secrets."""
        for form in self._forms:
            text = text.replace(form, _HIDDEN)
        text = _PASSWORD.sub(rf"\1:{_HIDDEN}@", text)
        text = _BEARER.sub(rf"\1 {_HIDDEN}", text)
        return _TOKEN.sub(f"yo_{_HIDDEN}", text)


class JsonFormatter(logging.Formatter):
    """Writes a record with all that was passed as `extra`, and the ids of the request, job and window."""

    def __init__(self, redaction: Redaction | None = None) -> None:
        super().__init__()
        self._redaction = redaction or Redaction()

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a JSON object."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= current_ids()
        line |= {name: value for name, value in record.__dict__.items() if name not in _OWN}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return self._redaction.hide(json.dumps(line, default=str))


def log_to_stderr(level: str = "info", secrets: Sequence[str] = ()) -> None:
    """Send the logs of this process, of this level and above, to stderr, without `secrets`."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(Redaction(secrets)))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx", "httpcore", "uvicorn"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    # Its warnings are of what clients send, which is counted: they must not fill a disk.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
