"""``python -m delineate.cli``."""

from delineate.cli import main

main()
