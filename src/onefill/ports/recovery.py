"""What a start needs of the store: is the book whole, and what should the brokers hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from onefill.core.ids import Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What our book says one account holds: net by symbol; symbols with orders under way."""

    net: Mapping[str, Decimal]
    unsettled: AbstractSet[str]


class RecoveryStore(Protocol):
    """Read at start and after each takeover. All raise StoreUnavailable."""

    async def broken_promises(self) -> Sequence[str]:
        """What does not hold in the stored book (positions against fills, slots, legs, states)."""
        ...

    async def holdings(self, broker: str, account: str) -> Holdings:
        """What our book says this account holds."""
        ...

    async def save_reconciliation(
        self, epoch: Epoch | None, trigger: str, clean: bool, report: str
    ) -> None:
        """Keep a report (JSON text)."""
        ...
