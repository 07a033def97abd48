"""What lost commits mean for the rows of the trade path. Source: CTL-8."""

from __future__ import annotations

from collections.abc import Sequence

from onefill.core.ids import ClientOrderId
from onefill.ports.authority import LossRow
from onefill.postgres.connection import Row, Transaction

OPEN = """
SELECT noticed_at, noticed_by, kind, found FROM authority_losses
WHERE ended_at IS NULL ORDER BY noticed_at LIMIT 1"""

_LAST = "(SELECT * FROM authority_losses ORDER BY id DESC LIMIT 1)"


def is_old(noticed_at: str) -> str:
    """SQL: whether signal `s` may have been executed in the history that was lost.

    A second for clocks that differ: what is doubted for nothing costs a look-up.
    """
    return f"""(s.received_at < {noticed_at}
    OR s.signal_time < {noticed_at} + interval '1 second')"""


_IS_OLD = is_old("lost.noticed_at")

# What was never sent, as far as the store knows, is told apart from what was: only its own mark
# will show it in a broker's book. Everything was signed before the loss was noticed.
_DOUBTED = """
SET state = 'IN_DOUBT', reason = 'authority_lost', updated_at = clock_timestamp(),
    signed_at = CASE WHEN i.state = 'SENDING' THEN i.signed_at END,
    send_by = greatest(i.send_by, lost.noticed_at),
    expires_at = greatest(i.expires_at, lost.doubtful_until)"""

PUT_IN_DOUBT = f"""
UPDATE order_intents i {_DOUBTED}
FROM {_LAST} AS lost WHERE i.state IN ('NEW', 'SENDING')"""

# Decided by somebody who had not heard of the loss yet: what is unsent, and was never looked up.
DOUBT_AGAIN = f"""
UPDATE order_intents i {_DOUBTED}
FROM {_LAST} AS lost
WHERE lost.ended_at IS NULL AND i.state = 'NEW' AND i.expires_at IS NULL"""

IS_QUIET = f"""
SELECT NOT EXISTS (SELECT FROM order_intents WHERE state IN ('SENDING', 'IN_DOUBT'))
   AND NOT EXISTS (
       SELECT FROM signal_log s, {_LAST} AS lost
       WHERE s.processing_status = 'received' AND {_IS_OLD}) AS is_quiet"""

END = """
UPDATE authority_losses SET ended_at = clock_timestamp(), ended_by = $1, note = $2
WHERE ended_at IS NULL RETURNING noticed_at, noticed_by, kind, found"""

_DOUBT_THESE = f"""
UPDATE order_intents i {_DOUBTED}
FROM {_LAST} AS lost
WHERE i.client_order_id = ANY($1) AND i.state = 'NEW'
  AND (lost.ended_at IS NULL
       OR EXISTS (SELECT FROM signal_log s WHERE s.id = i.signal_id AND {_IS_OLD}))
RETURNING i.client_order_id"""


def loss_row(row: Row) -> LossRow:
    """As people see it."""
    return LossRow(
        noticed_at=row["noticed_at"],
        noticed_by=row["noticed_by"],
        kind=row["kind"],
        found=row["found"],
    )


async def doubt_old(transaction: Transaction, names: Sequence[str]) -> set[ClientOrderId]:
    """Of these new intents, those that may have been sent in a history that was lost: they are
    looked up before they are sent."""
    rows = await transaction.fetch(_DOUBT_THESE, list(names))
    return {ClientOrderId(row["client_order_id"]) for row in rows}
