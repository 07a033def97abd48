"""Small recordings for tests of the replay."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

from onefill.cli.fill_in import Distance, FillIn

KOLKATA = ZoneInfo("Asia/Kolkata")
HEAD = (
    "\ufeffTrade #,Type,Date/Time,Signal,Price INR,Position size (qty),Position size (value),"
    "Net P&L INR\n"
)
TRADES = HEAD + (
    "1,Exit long,2009-02-16 09:15,EXIT - Basso Stop,4456.55,15,68943.75,-75718.86\n"
    "1,Entry long,2009-02-13 13:15,ENTRY-15L,4596.25,15,68943.75,-75718.86\n"
    "2,Exit long,2009-03-24 13:15,EXIT - Basso Stop,4047.35,14,55206.2,49026.79\n"
    "2,Entry long,2009-02-16 09:15,EOD-ENTRY-14L,3943.3,14,55206.2,49026.79\n"
    "3,Exit long,2009-03-24 13:15,EXIT - Basso Stop,4047.35,1,4158.75,-4042.61\n"
    "3,Entry long,2009-03-24 10:15,PYR1-1L,4158.75,1,4158.75,-4042.61\n"
    "4,Exit long,2009-03-25 15:15,Open,4100,3,1,1\n"
    "4,Entry long,2009-03-25 09:15,ENTRY-3L,4090,3,1,1\n"
)


def filled(*, lots_from_file: bool = False) -> FillIn:
    """What the options fill in by default."""
    return FillIn(
        portfolio="replay",
        instrument="BANK_NIFTY",
        stop=Distance.parse("2%"),
        atr=Distance.parse("1%"),
        er=Decimal(1),
        lots_from_file=lots_from_file,
    )
