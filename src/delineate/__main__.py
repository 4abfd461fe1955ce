"""``python -m delineate``: the command."""

from delineate.cli import main

main()
