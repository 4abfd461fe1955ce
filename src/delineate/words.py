"""Numbers and their nouns, as every floor writes them."""

from __future__ import annotations


def plural(count: int, noun: str) -> str:
    """A count and its noun: 1 object, 2,000 objects."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
