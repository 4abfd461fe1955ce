"""`delineate recipes`."""

from __future__ import annotations

import sys


def recipes(name: str | None = None, /, *, settings: bool = False) -> int:
    """List the recipes of the package, print one, or list every setting.

        delineate recipes
        delineate recipes nuclei > mine.yaml
        delineate recipes --settings

    Parameters
    ----------
    name
        Recipe to print, comments included, ready to be edited.
    settings
        List every setting with its default and what it does.
    """
    from delineate.recipe import Recipe, fields, find_recipe, packaged_recipes

    if settings:
        rows = fields()
        width = max(len(field) for field, _, _ in rows)
        for field, default, text in rows:
            print(f"{field:<{width}} {default:<12} {text}")
    elif name is None:
        found = packaged_recipes()
        width = max(map(len, found))
        for key in sorted(found):
            print(f"{key:<{width}}  {Recipe.load(found[key]).description}")
    else:
        sys.stdout.write(find_recipe(name).read_text(encoding="utf-8"))
    return 0
