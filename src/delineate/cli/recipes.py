"""`delineate recipes`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from delineate.networks.options import Options


def recipes(
    name: str | None = None,
    /,
    *,
    settings: bool = False,
    network: str | None = None,
    allow_imports: bool = False,
) -> int:
    """List the recipes of the package, print one, or list every setting.

        delineate recipes
        delineate recipes nuclei > mine.yaml
        delineate recipes --settings
        delineate recipes --network unet

    Parameters
    ----------
    name
        Recipe to print, comments included, ready to be edited.
    settings
        List every setting with its default and what it does, and the options of every network
        (network.options). Networks of MONAI have them under MONAI's names.
    network
        List the options of this network alone: one of the package, smp:Unet and the like, or an
        import path, package.module:Class.
    allow_imports
        Let the network be imported from outside the package, which runs its code.
    """
    from delineate.recipe import Recipe, fields, find_recipe, packaged_recipes

    if network is not None:
        from delineate.networks import known_options

        _print_options([network], known_options(network, allow_imports=allow_imports))
    elif settings:
        _print_rows(fields())
        sys.stdout.flush()  # what follows takes seconds
        _print_networks()
    elif name is None:
        found = packaged_recipes()
        width = max(map(len, found))
        for key in sorted(found):
            print(f"{key:<{width}}  {Recipe.load(found[key]).description}")
    else:
        sys.stdout.write(find_recipe(name).read_text(encoding="utf-8"))
    return 0


def _print_rows(rows: Iterable[tuple[str, str, str]]) -> None:
    """Names, defaults and texts in columns."""
    rows = list(rows)
    width = max(len(name) for name, _, _ in rows)
    for name, default, text in rows:
        print(f"{name:<{width}} {default:<12} {text}")


def _print_networks() -> None:
    """The options of all networks of the package; those that have the same together."""
    from delineate.networks import BUILT_IN, known_options

    alike: dict[Options, list[str]] = {}
    for name in BUILT_IN:
        alike.setdefault(known_options(name), []).append(name)
    for options, names in alike.items():
        print()
        _print_options(names, options)


def _print_options(names: list[str], options: Options) -> None:
    """The options of networks that have the same ones, in the form in which settings are listed."""
    source = f", handed to {options.library}" if options.library else ""
    rest = "; others are handed on" if options.others and options.known else ""
    none = "" if options.known else (": unknown" if options.others else ": none")
    print(f"network.options of {', '.join(names)}{source}{rest}{none}")
    if options.known:
        _print_rows(
            (f"network.options.{o.name}", o.default, f"{o.kind}: {o.meaning}".removesuffix(": "))
            for o in options.known
        )
