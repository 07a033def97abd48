"""A reconciliation as a person reads it."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from onefill.cli.main import app
from unit.cli.instance import Instance, running

REPORT: dict[str, Any] = {
    "at": "2026-01-05T09:15:00Z",
    "instance": "prod",
    "trigger": "request",
    "clean": False,
    "report": {
        "unreachable": ["openalgo"],
        "findings": [
            {
                "kind": "unknown_of_ours",
                "broker": "binance",
                "account": "paper",
                "symbol": "BTCUSDT",
                "ours": "0",
                "theirs": "filled 5",
                "detail": "order 17 (ofone…)",
                "proposal": "ask",
                "applied": False,
                "blocks": True,
                "remedy": "Look at it at the broker.",
            }
        ],
    },
}


class Reconciling(Instance):
    """Answers with one report, and remembers what was asked."""

    asked: list[tuple[str, object]]

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, object]:
        self.asked = [*getattr(self, "asked", []), (path, body)]
        return 200, REPORT


@pytest.mark.req("ORD-9", "IF-7")
def test_the_report_names_what_differs_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with running(Reconciling()) as instance:
        result = CliRunner().invoke(app, ["reconcile", "--url", instance.url])
    assert result.exit_code == 0, result.output
    for words in ("The books differ", "openalgo did not answer", "blocks", "Look at it"):
        assert words in result.output


@pytest.mark.req("ORD-9", "IF-7")
def test_an_order_is_accepted_by_its_full_name() -> None:
    with running(Reconciling()) as instance:
        where = ["--url", instance.url]
        result = CliRunner().invoke(app, ["reconcile", "--accept", "17", *where])
        assert result.exit_code != 0
        accept = ["reconcile", "--accept", "binance/paper/17", "--note", "old", "--json"]
        result = CliRunner().invoke(app, [*accept, *where])
    assert result.exit_code == 0, result.output
    assert instance.asked == [  # type: ignore[attr-defined]
        (
            "/api/reconciliation/accept",
            {"broker": "binance", "account": "paper", "broker_order_id": "17", "note": "old"},
        )
    ]
