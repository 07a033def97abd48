"""What a start needs of the store: is the book whole, and what should the brokers hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from onefill.core.ids import Epoch
from onefill.core.orders.reconcile import KnownOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What our book says one account holds: net by symbol; symbols with orders that are being sent
    or in doubt, and those that anything was ordered of in the last quarter of an hour."""

    net: Mapping[str, Decimal]
    unsettled: AbstractSet[str]
    recent: AbstractSet[str] = frozenset()


class RecoveryStore(Protocol):
    """Read at start and after each takeover. All raise StoreUnavailable."""

    async def broken_promises(self) -> Sequence[str]:
        """What does not hold in the stored book (positions against fills, slots, legs, states)."""
        ...

    async def holdings(self, broker: str, account: str) -> Holdings:
        """What our book says this account holds."""
        ...

    async def known(
        self, broker: str, account: str, numbers: Sequence[str], names: Sequence[str]
    ) -> Sequence[KnownOrder]:
        """Our intents with these broker order ids, or with these client order ids."""
        ...

    async def accepted(self, broker: str, account: str) -> AbstractSet[str]:
        """Broker order ids that no intent explains, and that a person has looked at."""
        ...

    async def save_reconciliation(
        self, epoch: Epoch | None, trigger: str, clean: bool, report: str
    ) -> None:
        """Keep a report (JSON text)."""
        ...
