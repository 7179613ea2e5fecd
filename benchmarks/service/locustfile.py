"""Sensors that post windows at a steady rate; `benchmarks.service.load` starts this with what it needs to know.

Each user is a sensor of its own, which posts its windows one after the other, in the order of their time. Bodies
are made beforehand, so that making them takes no time of the machine while it is measured, and counts for nothing
in locust's own. What was answered goes to the file that `YOCHO_LOAD_ANSWERS` names.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

from locust import FastHttpUser, constant_throughput, events, task

from benchmarks.service.traffic import Posts

RATE = float(os.environ["YOCHO_LOAD_RATE"])
USERS = int(os.environ["YOCHO_LOAD_USERS"])
POSTS = [Posts.read(folder) for folder in sorted(Path(os.environ["YOCHO_LOAD_BODIES"]).iterdir())]
ANSWERS: list[tuple[int, int, int, float, bool]] = []
"""Sensor, number of the window, status, seconds, and whether a refusal said when to come again."""
NUMBERS = itertools.count()


class PostingSensor(FastHttpUser):  # type: ignore[misc]
    """Posts a window, waits for the answer, and so on, up to its share of the rate."""

    wait_time = constant_throughput(RATE / USERS)
    connection_timeout = network_timeout = 60.0

    def on_start(self) -> None:
        """Take a number: it is the sensor's name and the seed of its hosts."""
        self.number = next(NUMBERS)
        self.windows = 0

    @task  # type: ignore[untyped-decorator]
    def post(self) -> None:
        """Post the next window; a refused one is not sent again, so that what is offered stays what it is."""
        body = POSTS[self.number % len(POSTS)].body(f"sensor-{self.number}", self.windows)
        headers = {"Content-Type": "application/json"}
        began = time.perf_counter()
        with self.client.post("/v1/windows", data=body, headers=headers, catch_response=True) as answer:
            seconds, status = time.perf_counter() - began, int(answer.status_code or 0)
            told = bool(answer.headers and answer.headers.get("Retry-After"))
            answer.success()
        ANSWERS.append((self.number, self.windows, status, seconds, told))
        self.windows += 1


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write(**_details: Any) -> None:
    """Write what was answered."""
    Path(os.environ["YOCHO_LOAD_ANSWERS"]).write_text(json.dumps(ANSWERS), encoding="utf-8")
