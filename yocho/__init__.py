"""Yocho for programs: hand over traffic, read what was found, follow alerts as they come.

from yocho import Client

with Client("http://127.0.0.1:8000", token) as client:
client.send_file("capture.pcap", sensor="office", wait=30)
for alert in client.alerts(kind="horizontal"):
print(alert["reason"])
"""

from service.client.client import AsyncClient, Client
from service.client.operations import Accepted
from service.client.patience import Patience
from service.client.steps import Event
from service.errors import RemoteError, SettingsError, YochoError

__all__ = [
    "Accepted",
    "AsyncClient",
    "Client",
    "Event",
    "Patience",
    "RemoteError",
    "SettingsError",
    "YochoError",
]
