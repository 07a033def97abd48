"""The API's own description, and the page for people."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.openapi.models import OpenAPI
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from onefill.web.api.routes import FAMILIES
from support import ROOT, environment
from web.conftest import client_of


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


@pytest.mark.req("IF-1")
async def test_the_openapi_document_is_valid_and_whole(api: FastAPI) -> None:
    async with client_of(api, None) as client:
        document = (await client.get("/openapi.json")).json()
    OpenAPI.model_validate(document)
    names = set(re.findall(r"#/components/schemas/([\w-]+)", str(document)))
    assert names <= set(document["components"]["schemas"])
    for method, path, operation in operations(document):
        assert operation["summary"] and operation["description"], (method, path)
        assert operation["security"] == [{"HTTPBearer": []}]
        assert {"401", "503"} <= set(operation["responses"])
        if method != "GET":
            assert "403" in operation["responses"], path
        for status, answer in operation["responses"].items():
            kind = "application/json" if status in ("200", "202") else "application/problem+json"
            assert list(answer["content"]) == [kind], (path, status)


@pytest.mark.req("IF-1")
def test_every_route_has_an_example_that_fits_its_model(api: FastAPI) -> None:
    document = api.openapi()
    models = {
        (method, route.path_format): route.response_model
        for family in FAMILIES
        for route in family.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    for method, path, operation in operations(document):
        example = operation["responses"]["200"]["content"]["application/json"]["example"]
        TypeAdapter(models[method, path]).validate_python(example)
        if "requestBody" in operation:
            assert "examples" in str(operation["requestBody"]), path


@pytest.mark.req("IF-1", "IF-12")
async def test_the_page_for_people_shows_every_route_and_loads_nothing(api: FastAPI) -> None:
    async with client_of(api, None) as client:
        answer = await client.get("/docs")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    for method, path, _ in operations(api.openapi()):
        assert f"<code>{method} {path}</code>" in answer.text
    assert "p7k2m9x0qz4d8r5w" in answer.text
    loads = _Loads()
    loads.feed(answer.text)
    assert loads.found == []


@pytest.mark.req("IF-1")
def test_the_manual_lists_exactly_the_routes_that_there_are(api: FastAPI) -> None:
    manual = (ROOT / "docs" / "api.md").read_text()
    listed = re.findall(r"^\| `([A-Z]+) ([^`]+)` \|", manual, re.MULTILINE)
    known = [(method, path) for method, path, _ in operations(api.openapi())]
    assert sorted(listed) == sorted([*known, ("GET", "/docs"), ("GET", "/openapi.json")])


def test_only_the_api_imports_fastapi() -> None:
    source = Path(ROOT / "src" / "onefill")
    users = [
        str(file.relative_to(source))
        for file in source.rglob("*.py")
        if re.search(r"^\s*(from|import) (fastapi|starlette)", file.read_text(), re.MULTILINE)
    ]
    assert all(user.startswith("web/api/") for user in users), users
    program = (
        "import onefill.postgres.views.snapshot, onefill.postgres.operators.controls,"
        " onefill.web.problem, onefill.web.tokens, sys; sys.exit('fastapi' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], env=environment(), check=True)


class _Loads(HTMLParser):
    """Tags and attributes that make a browser fetch something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img", "iframe"} or any(name == "src" for name, _ in attrs):
            self.found.append(tag)
