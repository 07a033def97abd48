"""A paper venue as a process of its own, and a client that signs."""

from __future__ import annotations

import asyncio
import hmac
import os
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from support import until

SOURCE = Path(__file__).parents[2] / "src"
WITHIN_S = 120


class VenueProcess:
    """Starts, kills and restarts one venue on one data directory, and talks to it."""

    def __init__(self, data: Path, *options: str) -> None:
        self._data = data
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self.http = httpx.AsyncClient()

    async def start(self) -> None:
        """Start it on a free port and wait for the URL that it prints."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "onefill.venue", "--port", "0"),
            *("--data", str(self._data), *self._options),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), WITHIN_S)
        self.http = httpx.AsyncClient(base_url=line.decode().split()[-1], timeout=60)

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and return its exit code."""
        await self.http.aclose()
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(how)
        code = await asyncio.wait_for(self._process.wait(), WITHIN_S)
        transport = self._process._transport  # type: ignore[attr-defined]
        transport.close()
        return code

    async def restart(self) -> None:
        """Kill it as a power cut would kill a process, and start it again."""
        await self.stop(signal.SIGKILL)
        await self.start()

    async def get(self, path: str, **params: object) -> dict[str, Any]:
        """A judge's question."""
        answer = await self.http.get(path, params={k: str(v) for k, v in params.items()})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def control(self, path: str, body: dict[str, object]) -> dict[str, Any]:
        """A wish of the one who disturbs."""
        answer = await self.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def fault(self, kind: str, **fields: object) -> None:
        """Inject a fault into the next order, or as the fields say."""
        ends = {} if "probability" in fields else {"next": 1}
        await self.control("/faults", {"kind": kind, **ends, **fields})

    async def now_ms(self) -> int:
        """The venue's time."""
        now: int = (await self.get("/fapi/v1/time"))["serverTime"]
        return now

    async def binance(self, method: str, path: str, **params: object) -> httpx.Response:
        """A signed request; `age_ms` makes it so much older than the venue's time."""
        key = str(params.pop("key", "paper"))
        age_ms = int(str(params.pop("age_ms", 0)))
        in_body = params.pop("in_body", False)
        params.setdefault("timestamp", await self.now_ms() - age_ms)
        query = urlencode(params)
        signature = hmac.digest(key.encode(), query.encode(), "sha256").hex()
        signed = f"{query}&signature={signature}"
        headers = {"X-MBX-APIKEY": key, "Content-Type": "application/x-www-form-urlencoded"}
        url = f"/fapi/{path}"
        if in_body:
            return await self.http.request(method, url, content=signed, headers=headers)
        return await self.http.request(method, f"{url}?{signed}", headers=headers)

    async def buy(self, client_order_id: str, **params: object) -> httpx.Response:
        """Buy at market in the Binance dialect."""
        wish: dict[str, object] = {
            "symbol": "SIM001",
            "side": "BUY",
            "type": "MARKET",
            "quantity": 1,
            "newClientOrderId": client_order_id,
            "newOrderRespType": "RESULT",
        }
        return await self.binance("POST", "v1/order", **{**wish, **params})

    async def look_up(self, client_order_id: str, **params: object) -> httpx.Response:
        """Ask by client order id in the Binance dialect."""
        wish = {"symbol": "SIM001", "origClientOrderId": client_order_id, **params}
        return await self.binance("GET", "v1/order", **wish)

    async def openalgo(self, service: str, **body: object) -> httpx.Response:
        """A request in the OpenAlgo dialect."""
        return await self.http.post(f"/api/v1/{service}", json={"apikey": "paper", **body})

    async def leg(self, name: str, **body: object) -> httpx.Response:
        """Buy one lot of a call at market in the OpenAlgo dialect."""
        wish: dict[str, object] = {
            "strategy": name,
            "symbol": "BANKNIFTY29DEC2660000CE",
            "exchange": "NFO",
            "action": "BUY",
            "product": "NRML",
            "pricetype": "MARKET",
            "quantity": "30",
            "price": "0",
            "trigger_price": "0",
            "disclosed_quantity": "0",
        }
        return await self.openalgo("placeorder", **{**wish, **body})

    async def executed(self) -> list[str]:
        """The client order ids of everything that executed, oldest first."""
        executions = (await self.get("/ledger"))["executions"]
        return [execution["client_order_id"] for execution in executions]

    async def has_executed(self, count: int) -> None:
        """Wait until so many executions are in the ledger."""

        async def enough() -> bool:
            return len(await self.executed()) >= count

        await until(enough, WITHIN_S)
