"""The real API over a real PostgreSQL, and rows to look at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

import onefill.postgres
from onefill.core.control.states import InstanceState
from onefill.node.coordination import NodeCoordination, Sources
from onefill.node.state import NodeState
from onefill.node.sync import SyncHealth
from onefill.ports.clock import RealClock
from onefill.ports.hints import Topic
from onefill.ports.metrics import Metrics
from onefill.ports.rows import NodeStatus
from onefill.ports.witness import NoWitness
from onefill.postgres.connection import Held
from onefill.postgres.control.handover import PostgresHandovers
from onefill.postgres.control.history import LeadershipHistory
from onefill.postgres.faults import translated
from onefill.postgres.operators.controls import PostgresControls
from onefill.postgres.views.snapshot import PostgresViews
from onefill.web.api.routes import build_api
from onefill.web.tokens import Tokens

VIEWER, OPERATOR = "viewer-token-of-tests", "operator-token-of-tests"
NODE = NodeStatus(
    instance="prod",
    version="0.1.0",
    state="ACTIVE",
    is_active=True,
    epoch=7,
    mode="active-active",
    topology="shared-database",
    live=False,
)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Any]:
    """Connections to a fresh database with the product's tables."""
    async with asyncpg.create_pool(database_url, min_size=1, max_size=4) as pool:
        if await pool.fetchval("SELECT to_regclass('signal_log')") is None:
            folder = Path(onefill.postgres.__file__).parent / "migrations"
            for migration in sorted(folder.glob("*.sql")):
                await pool.execute(migration.read_text())
        yield pool


@pytest.fixture
def api(pool: Any) -> FastAPI:
    """The API as an active paper instance serves it."""
    return api_with(pool, Tokens(operator=OPERATOR, viewer=VIEWER))


def api_with(pool: Any, tokens: Tokens, **node: Any) -> FastAPI:
    """The API with these tokens and a node that differs so."""
    status = replace(NODE, **node)
    views, controls = PostgresViews(pool), PostgresControls(pool)
    coordination = coordination_of(pool)
    return build_api(
        views,
        controls,
        tokens,
        lambda: status,
        coordination=coordination,
        reconcile=_reconciled,
    )


def coordination_of(pool: Any) -> NodeCoordination:
    """Control as an instance sees it that only looks: it can't take, and holds nothing."""
    held = PooledReads(pool)
    clock = RealClock()
    return NodeCoordination(
        state=NodeState("prod", "0", state=InstanceState.ACTIVE),
        sources=Sources(
            views=PostgresViews(pool),
            requests=PostgresHandovers(held),
            history=LeadershipHistory(held, clock),
            witness=NoWitness(),
            audit=PostgresControls(pool).note,
        ),
        sync=SyncHealth(Metrics()),
        clock=clock,
        takeover=None,
        giving=None,
        changed=Topic(),
    )


class PooledReads(Held):
    """Reads on connections of the test's own pool."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def read(self, sql: str, *arguments: object) -> Any:
        """The rows. Raises StoreUnavailable."""
        with translated():
            return await self._pool.fetch(sql, *arguments)


def client_of(api: FastAPI, token: str | None) -> httpx.AsyncClient:
    """A client at 10.0.0.9 that shows this token."""
    transport = httpx.ASGITransport(api, raise_app_exceptions=False, client=("10.0.0.9", 4000))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)


@pytest.fixture
async def viewer(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Someone who may read."""
    async with client_of(api, VIEWER) as client:
        yield client


@pytest.fixture
async def operator(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Someone who may act."""
    async with client_of(api, OPERATOR) as client:
        yield client


async def _reconciled(apply: bool) -> bool:
    """As if the loop had just compared; tests/chaos has the real one."""
    return True
