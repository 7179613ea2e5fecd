"""Calls an application in this process, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import httpx

if TYPE_CHECKING:
    from fastapi import FastAPI


class Client:
    """Sends one request at a time; a defect of the application is answered, as a server would."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def request(self, method: str, url: str, **details: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://yocho.test") as client:
                return await client.request(method, url, **details)

        return anyio.run(send)

    def get(self, url: str, **details: Any) -> httpx.Response:
        return self.request("GET", url, **details)

    def post(self, url: str, **details: Any) -> httpx.Response:
        """Send something, and wait until it is done unless another preference is given."""
        given = dict(details.pop("headers", {}))
        return self.request("POST", url, headers={"Prefer": "wait=10"} | given, **details)


def the_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem document of a failed request, after checking its form."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == "about:blank"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == answer.request.url.path
    assert set(problem) <= {"type", "title", "status", "detail", "instance", "errors"}
    assert "Traceback" not in answer.text
    return problem


def the_fields(answer: httpx.Response) -> list[str]:
    """Return the names of the faulty fields of a 422."""
    return [error["field"] for error in the_problem(answer, 422)["errors"]]
