"""The webhook that people write: Flask, psycopg2, one pooled connection a thread, one INSERT.

    gunicorn --workers 2 --threads 4 --chdir benchmarks flask_webhook:app

Only to compare with: it takes the database's address from BENCH_DATABASE_URL.
"""

from __future__ import annotations

import hashlib
import os
import threading
from typing import Any

import psycopg2
from flask import Flask, jsonify, request

_INSERT = """
INSERT INTO yardstick (fingerprint, lane, engine, kind, portfolio, instrument, signal_time,
                       signal_second, payload, received_by)
VALUES (%s, %s, 'direct', %s, %s, %s, %s, date_trunc('second', %s::timestamptz), %s, 'flask')
ON CONFLICT (fingerprint, signal_second) DO NOTHING RETURNING id"""

app = Flask(__name__)
_local = threading.local()


def _connection() -> Any:
    if not hasattr(_local, "connection"):
        _local.connection = psycopg2.connect(os.environ["BENCH_DATABASE_URL"])
        _local.connection.autocommit = True
    return _local.connection


@app.get("/ready")
def ready() -> str:
    """That it runs."""
    return "ok"


@app.post("/webhook")
def webhook() -> Any:
    """Store the alert, once."""
    body = request.get_data()
    alert = request.get_json()
    names = ("portfolio", "ticker", "action", "contracts", "timestamp", "order_id")
    identity = "|".join(str(alert[name]) for name in names)
    lane = f"{alert['portfolio']}/{alert['ticker']}"
    fingerprint = hashlib.sha256(identity.encode()).digest()
    with _connection().cursor() as cursor:
        cursor.execute(
            _INSERT,
            (
                fingerprint,
                lane,
                alert["action"].upper(),
                alert["portfolio"],
                alert["ticker"],
                alert["timestamp"],
                alert["timestamp"],
                body.decode(),
            ),
        )
        row = cursor.fetchone()
    return jsonify(status="accepted" if row else "duplicate", signal_id=row and row[0])
