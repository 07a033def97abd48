"""`python -m onefill`: the command line."""

from onefill.cli.main import main

if __name__ == "__main__":
    main()
