from __future__ import annotations

import re

from fastapi import FastAPI

from service.web.docs import docs_routes
from tests.api.client import Client


def test_the_page_loads_files_of_this_machine_only() -> None:
    app = FastAPI(docs_url=None)
    app.include_router(docs_routes())
    client = Client(app)
    page = client.get("/docs")
    assert "'self'" in page.headers["content-security-policy"]
    named = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(named) == 3
    for path in named:
        assert path.startswith("/docs/")
        answer = client.get(path)
        assert answer.status_code == 200
        assert len(answer.content) > 50
