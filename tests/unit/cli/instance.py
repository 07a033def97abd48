"""An instance's webhook and signal log in few lines, on a real socket; it can fail on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Instance:
    """Takes a signal once for each order id. refuse: answers to give before it works again.

    polls: how often a signal is still `executing` when asked for.
    """

    def __init__(self, *, polls: int = 0) -> None:
        self.signals: dict[str, int] = {}
        self.posts: list[dict[str, Any]] = []
        self.puts: list[tuple[str, Any]] = []
        self.refuse: list[int] = []
        self.url = ""
        self._polls = polls
        self._asked: dict[str, int] = {}

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, object]:
        """One webhook, or one setting of a venue."""
        if not path.startswith("/webhook"):
            return 200, {}
        self.posts.append(body)
        if self.refuse:
            return self.refuse.pop(0), {"title": "Not now", "detail": "as the test wants it"}
        fresh = body["order_id"] not in self.signals
        number = self.signals.setdefault(body["order_id"], len(self.signals) + 1)
        return 200, {"status": "accepted" if fresh else "duplicate", "signal_id": number}

    def get(self, path: str) -> tuple[int, object]:
        """One signal's story, or an empty list."""
        if path.startswith("/api/positions"):
            return 200, {"items": [], "next_cursor": None}
        if path.startswith("/api/portfolio"):
            return 200, {"portfolio": "replay", "realised": "0", "open_equity": "1"}
        if not path.startswith("/api/signals/"):
            return 404, {"title": "Not found"}
        self._asked[path] = self._asked.get(path, 0) + 1
        status = "executing" if self._asked[path] <= self._polls else "executed"
        orders = [{"order": {"state": "FILLED"}}]
        return 200, {"signal": {"status": status, "reason": None}, "orders": orders}


@contextmanager
def running(instance: Instance) -> Iterator[Instance]:
    """Serve it on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(*instance.get(self.path))

        def do_POST(self) -> None:
            self._answer(*instance.post(self.path, self._body()))

        def do_PUT(self) -> None:
            instance.puts.append((self.path, self._body()))
            self._answer(200, {})

        def _body(self) -> Any:
            return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, status: int, document: object) -> None:
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    instance.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield instance
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
