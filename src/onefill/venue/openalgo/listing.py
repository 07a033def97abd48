"""The OpenAlgo dialect's list of contracts: empty until somebody says what is listed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from onefill.core.money import plain
from onefill.venue.instruments import future_terms
from onefill.venue.wire import Reply, answer

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_ROOT = re.compile(r"[A-Z]{2,20}")

Body = Mapping[str, object]


class Listing:
    """What `expiry` and `symbol` answer. A real server takes both from its broker's master list.

    expiries: by the root of the symbols (`BANKNIFTY`); lots: units of one lot, where they are other
    than this exchange's.
    """

    def __init__(self) -> None:
        self.expiries: dict[str, list[date]] = {}
        self.lots: dict[str, int] = {}

    def expiry(self, _: str, body: Body) -> Reply:
        """The days on which contracts of an underlying end."""
        symbol, kind = str(body.get("symbol")), str(body.get("instrumenttype"))
        if kind not in ("futures", "options"):
            return _error('Instrumenttype must be either "futures" or "options"')
        ends = [_written(day) for day in sorted(self.expiries.get(symbol, ()))]
        found = f"Found {len(ends)} expiry dates" if ends else "No expiry dates found"
        message = f"{found} for {symbol} {kind} in {body.get('exchange')}"
        return answer({"status": "success", "message": message, "data": ends})

    def symbol(self, _: str, body: Body) -> Reply:
        """One contract of the list."""
        symbol, exchange = str(body.get("symbol")), str(body.get("exchange"))
        terms = future_terms(symbol)
        if terms is None or terms.expiry not in self.expiries.get(terms.root, ()):
            return _error(f"Symbol {symbol} not found in exchange {exchange}", 404)
        lot = self.lots.get(terms.root, int(terms.lot))
        return answer(
            {
                "status": "success",
                "data": {
                    "symbol": symbol,
                    "name": terms.root,
                    "exchange": exchange,
                    "expiry": _written(terms.expiry),
                    "instrumenttype": "FUT",
                    "lotsize": lot,
                    "strike": 0,
                    "tick_size": float(plain(terms.tick)),
                },
            }
        )

    def set(self, wish: object) -> str | None:
        """List these: `{root: {"expiries": ["2026-01-27"], "lot": 30}}`; what is wrong with it."""
        if not isinstance(wish, dict):
            return "listed is an object of symbol roots"
        expiries: dict[str, list[date]] = {}
        lots: dict[str, int] = {}
        for root, entry in wish.items():
            if not isinstance(entry, dict) or not _ROOT.fullmatch(str(root)):
                return "listed has an object for each symbol root"
            try:
                expiries[root] = [date.fromisoformat(str(day)) for day in entry["expiries"]]
                lots |= {root: int(entry["lot"])} if "lot" in entry else {}
            except (KeyError, TypeError, ValueError):
                return f"listed.{root} has expiries (YYYY-MM-DD), and a lot where it is another"
        self.expiries, self.lots = expiries, lots
        return None


def _written(day: date) -> str:
    return f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year % 100:02d}"


def _error(message: str, status: int = 400) -> Reply:
    return answer({"status": "error", "message": message}, status)
