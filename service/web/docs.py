"""The page that explains the API, from files of this machine: Swagger UI."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
_CACHED = {"Cache-Control": "private, max-age=86400"}
_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <title>Yocho: the API</title>
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div id="api"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """\
SwaggerUIBundle({ url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null });
"""


def docs_routes() -> APIRouter:
    """Return the routes of the page and of the files that it loads."""
    router = APIRouter(include_in_schema=False)
    resources = files("fastapi_swagger") / "resources"
    script = (resources / "swagger-ui-bundle.js").read_bytes()
    style = (resources / "swagger-ui.css").read_bytes()

    @router.get("/docs")
    def page() -> Response:
        return Response(_PAGE, media_type="text/html", headers=_HEADERS)

    @router.get("/docs/start.js")
    def start() -> Response:
        return Response(_START, media_type="text/javascript", headers=_CACHED)

    @router.get("/docs/swagger-ui-bundle.js")
    def bundle() -> Response:
        return Response(script, media_type="text/javascript", headers=_CACHED)

    @router.get("/docs/swagger-ui.css")
    def sheet() -> Response:
        return Response(style, media_type="text/css", headers=_CACHED)

    return router
