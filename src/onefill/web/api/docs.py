"""The API's description as one page that loads nothing, from nowhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
pre { overflow: auto; padding: 1rem; border: 1px solid; border-radius: 4px; max-height: 30rem }
code, pre { font: 14px/1.4 ui-monospace, monospace }
:root { color-scheme: light dark }
"""


def page(document: Mapping[str, Any]) -> str:
    """HTML for an OpenAPI document: each route with parameters, body, answer and refusals."""
    info = document["info"]
    body = "".join(
        part
        for path, methods in document["paths"].items()
        for method, route in methods.items()
        for part in _route(method.upper(), path, route)
    )
    title = f"{escape(info['title'])} {escape(info['version'])}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}: API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(info['description'])}</p>"
        f'<p>For programs: <a href="openapi.json">openapi.json</a>.</p>{body}</html>'
    )


def _route(method: str, path: str, route: Mapping[str, Any]) -> Iterator[str]:
    yield f"<h2><code>{method} {escape(path)}</code></h2>"
    yield f"<p><strong>{escape(route['summary'])}.</strong> {escape(route['description'])}</p>"
    if parameters := route.get("parameters"):
        yield f"<ul>{''.join(_parameter(one) for one in parameters)}</ul>"
    if content := route.get("requestBody", {}).get("content"):
        yield f"<p>Body:</p>{_example(content)}"
    for status, answer in route["responses"].items():
        yield f"<p>{escape(status)}: {escape(answer['description'])}</p>"
        yield _example(answer.get("content", {}))


def _parameter(parameter: Mapping[str, Any]) -> str:
    about = parameter.get("description", "")
    default = parameter["schema"].get("default")
    shown = f" (default {escape(str(default))})" if default is not None else ""
    name, place = escape(parameter["name"]), escape(parameter["in"])
    return f"<li><code>{name}</code> in {place}{shown} {escape(about)}</li>"


def _example(content: Mapping[str, Any]) -> str:
    for media in content.values():
        example = media.get("example") or next(iter(_examples(media)), None)
        if example is not None:
            return f"<pre>{escape(json.dumps(example, indent=2))}</pre>"
    return ""


def _examples(media: Mapping[str, Any]) -> list[Any]:
    return list(media.get("schema", {}).get("examples", []))
