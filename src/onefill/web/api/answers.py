"""How the API answers: JSON with exact decimals, and a problem document for every error."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from onefill.core.errors import OnefillError, StoreUnavailable
from onefill.core.money import plain
from onefill.ports.views import InvalidCursor
from onefill.web.problem import MEDIA_TYPE, problem

_GOT_CHARACTERS = 100
_UNREADABLE = {"loc": ("body",), "msg": "It is not JSON in UTF-8.", "input": "bytes"}


def as_json(content: object) -> bytes:
    """Read models as JSON. Decimals are strings in plain digits, times ISO-8601 ending in Z."""
    return json.dumps(content, default=_plain_data, separators=(",", ":")).encode()


def answer(content: object, status: int = 200) -> Response:
    """A good answer; what it says is true for this moment only, so nobody may keep it."""
    headers = {"Cache-Control": "no-store"}
    return Response(as_json(content), status, headers, media_type="application/json")


def refuse(
    status: int,
    title: str,
    detail: str,
    remedy: str,
    *,
    headers: Mapping[str, str] | None = None,
    **extra: object,
) -> Response:
    """A problem document."""
    document = {**problem(status, title, detail, remedy), **extra}
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return Response(as_json(document), status, kept, media_type=MEDIA_TYPE)


def missing(what: str, remedy: str) -> Response:
    """There is no such thing."""
    return refuse(404, "Not found", f"There is no {what}.", remedy)


def handle_errors(app: FastAPI) -> None:
    """Make every error of this app a problem document."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(InvalidCursor, _invalid_cursor)
    app.add_exception_handler(StoreUnavailable, _unavailable)
    app.add_exception_handler(Exception, _failed)


def _plain_data(value: object) -> Any:
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"an answer can't hold {type(value).__name__}")


async def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_field_error(one) for one in error.errors()]
    named = ", ".join(dict.fromkeys(str(one["field"]) for one in errors))
    remedy = "Mend the named fields; /docs shows what each one takes."
    return refuse(422, "Invalid request", f"Not valid: {named}.", remedy, errors=errors)


def _field_error(error: Mapping[str, Any]) -> dict[str, object]:
    field = ".".join(str(part) for part in error["loc"][1:]) or str(error["loc"][0])
    return {
        "field": field,
        "problem": error["msg"],
        "got": repr(error.get("input"))[:_GOT_CHARACTERS],
    }


async def _invalid_cursor(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidCursor)
    errors = [{"field": "cursor", "problem": str(error)}]
    return refuse(422, "Invalid request", str(error), error.remedy, errors=errors)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:  # FastAPI's word for a body that is no text at all
        return await _invalid(request, RequestValidationError([_UNREADABLE]))
    remedies = {
        404: "See /docs for the routes that there are.",
        405: "Use a method that the header `Allow` names.",
    }
    remedy = remedies.get(error.status_code, "See /docs for what this route takes.")
    detail = f"{request.method} {request.url.path}: {error.detail}."
    return refuse(error.status_code, str(error.detail), detail, remedy, headers=error.headers)


async def _unavailable(_request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailable)
    again = {"Retry-After": "1"}
    return refuse(503, "Database not reachable", str(error), error.remedy, headers=again)


async def _failed(_request: Request, error: Exception) -> Response:
    remedy = "See this instance's log; if it happens again, report it with those lines."
    if isinstance(error, OnefillError):
        remedy = error.remedy
    return refuse(500, "Internal error", "The request failed inside onefill.", remedy)
