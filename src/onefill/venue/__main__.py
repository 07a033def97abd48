"""`python -m onefill.venue`: the paper venue without the rest of the command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from onefill.core.errors import OnefillError
from onefill.venue.app import run
from onefill.venue.options import BrokerClass, VenueOptions


def main() -> int:
    """Run a venue from the command line; 1 if it refuses to start, with the reason."""
    parser = argparse.ArgumentParser(prog="python -m onefill.venue", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9100)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--class", dest="broker_class", type=BrokerClass, default=BrokerClass.B)
    parser.add_argument("--lag", dest="lag_ms", metavar="MS", type=int, default=300)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--bars", type=Path)
    parser.add_argument("--bar-ms", type=int, default=1_000)
    parser.add_argument("--lean", action="store_true")
    parser.add_argument("--rates", action="store_true")
    try:
        run(VenueOptions(**vars(parser.parse_args())))
    except OnefillError as error:
        print(f"{error}\n{error.remedy}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
