"""A sensor from its settings to its figures."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.client.client import Client
from service.client.patience import Patience
from service.errors import SettingsError
from service.sensor.forward import forward_interface
from service.sensor.sender import Sender
from service.sensor.spool import Spool, SpoolSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from service.capture.live import LiveCapture
    from service.pipeline import PipelineSpec
    from service.scan import Summary

_LAST_SECONDS = 10.0
"""How long what waits is still sent at the end."""
_LONGEST_TOKEN = 512


@dataclass(frozen=True, slots=True)
class SensorSpec:
    """Where an interface's windows go, as whose, and where they wait."""

    name: str
    url: str
    spool: SpoolSpec
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the windows of a sensor."""

    summary: Summary
    sent: int
    refused: int
    """Windows that the service would not have."""
    shed: int
    """Windows for which the spool had no room."""
    waiting: int
    """Windows that wait for the next start."""


def run_sensor(
    capture: LiveCapture, spec: SensorSpec, pipeline: PipelineSpec, tell_drops: Callable[[int], None]
) -> Sent:
    """Follow an interface until its capture is stopped, and send what is counted.

    Raises SettingsError for a URL, a token or a spool that can't be used.
    """
    token = None if spec.token_file is None else read_token(spec.token_file)
    # One try each: the sender itself waits, and windows wait on the disk.
    with Client(spec.url, token, Patience(tries=1)) as client, closing(Spool(spec.spool)) as spool:
        sender = Sender(client, spool, Patience(first=1.0))
        sender.start()
        try:
            summary = forward_interface(capture, spec.name, pipeline, spool, sender, tell_drops)
        finally:
            sender.stop(_LAST_SECONDS)
        return Sent(summary, sender.sent, sender.refused, spool.shed, len(spool))


def read_token(path: Path) -> str:
    """Return the token in a file; raises SettingsError if there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_TOKEN).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "holds no token"
        raise SettingsError(f"{path}: {why}; --token-file names a file with a token of `yocho token`") from None
    if not text or any(character.isspace() for character in text):
        raise SettingsError(f"{path}: holds no token; `yocho token create` makes one")
    return text
