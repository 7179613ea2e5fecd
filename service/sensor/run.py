"""A sensor from its settings to its figures."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.client.client import Client
from service.client.patience import Patience
from service.client.token import read_token
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
