"""Dotted overrides of a recipe: ``--train.steps 500``."""

from __future__ import annotations

from collections.abc import Sequence

from delineate.errors import RecipeError


def parse_overrides(tokens: Sequence[str]) -> dict[str, str]:
    """Turn ``["--train.steps", "500", "--seed=1"]`` into ``{"train.steps": "500", "seed": "1"}``.

    Raises
    ------
    RecipeError : a token is no setting, or a setting has no value.
    """
    found: dict[str, str] = {}
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        if not token.startswith("--") or len(token) < 3:
            raise RecipeError(f"{token!r}: expected a setting such as --train.steps 500")
        name, equals, value = token[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise RecipeError(f"--{name} needs a value, such as --{name} 500")
            value = rest.pop(0)
        found[name.replace("-", "_")] = value
    return found
