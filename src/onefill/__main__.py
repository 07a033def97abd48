"""`python -m onefill` is the command `onefill`."""

from onefill.cli.main import main

main()
