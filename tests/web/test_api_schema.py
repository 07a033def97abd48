"""Requests made up from the API's own description: each gets an answer that is described."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from support import require
from web.conftest import OPERATOR
from web.rows import TRADE

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
)


@asynccontextmanager
async def served(api: FastAPI) -> AsyncIterator[str]:
    """The API on a port of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(api, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([listener]))
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.mark.slow
@pytest.mark.req("IF-1", "IF-3")
async def test_made_up_requests_get_only_described_answers(
    pool: Any, api: FastAPI, tmp_path: Path
) -> None:
    program = require("schemathesis")
    await pool.execute(TRADE)
    async with served(api) as url:
        process = await asyncio.create_subprocess_exec(
            *(program, "run", f"{url}/openapi.json", "--checks", ",".join(CHECKS)),
            *("-H", f"Authorization: Bearer {OPERATOR}", "--max-examples", "15"),
            *("--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
