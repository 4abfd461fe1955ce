"""The settings of a recipe as text: their list, and what is wrong with one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from inspect import isabstract
from typing import get_args

from pydantic import BaseModel

from delineate.methods.outside import OUTSIDE


def sections(model: type[BaseModel], name: str) -> list[type[BaseModel]]:
    """The models that a field may hold: none, one, or a choice of several."""
    info = model.model_fields.get(name)
    found, kinds = [], [info.annotation if info else None]
    while kinds:
        kind = kinds.pop(0)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found += [] if isabstract(kind) else [kind]  # what others may write has no fields here
        elif not isinstance(kind, type):
            kinds += get_args(kind)
    return found


def settings(model: type[BaseModel], prefix: str = "") -> list[tuple[str, str, str]]:
    """Every setting with its default and description: (dotted name, default, description).

    Where a section is a choice, as the method is, the settings of all choices are listed, each
    with the choice that it belongs to; the default is that of the first.
    """
    rows: list[tuple[str, str, str]] = []
    for name, info in model.model_fields.items():
        held = sections(model, name)
        default = info.get_default(call_default_factory=True)
        if not held or default is None:  # a section that may be left out has a row of its own
            rows.append((prefix + name, str(default), info.description or ""))
        if not held:
            continue
        if len(held) == 1:
            rows += settings(held[0], f"{prefix}{name}.")
        else:
            rows += _of_choices(held, f"{prefix}{name}.")
    return rows


def _of_choices(held: Sequence[type[BaseModel]], prefix: str) -> list[tuple[str, str, str]]:
    names = [str(s.model_fields["name"].default) for s in held]
    defaults: dict[str, str] = {}
    texts: dict[str, list[tuple[str, str]]] = {}
    for choice, section in zip(names, held, strict=True):
        for name, default, text in settings(section, prefix):
            defaults.setdefault(name, default)
            differs = f" (default {default})" if default != defaults[name] else ""
            texts.setdefault(name, []).append((choice, text + differs))
    rows = []
    for name, said in texts.items():
        same = len(said) == len(names) and len({text for _, text in said}) == 1
        each = said[0][1] if same else "; ".join(f"{choice}: {text}" for choice, text in said)
        rows.append((name, defaults[name], each))
    known = f"one of {', '.join(names)}, or an import path, package.module:Class"
    return [(n, d, known if n == f"{prefix}name" else t) for n, d, t in rows]


def explain(model: type[BaseModel], location: Sequence[int | str], message: str, kind: str) -> str:
    """What is wrong with a setting, in a line, and the nearest right name of one that is unknown.

    Parameters
    ----------
    model : the recipe.
    location, message, kind : of an error that pydantic found in it.
    """
    parts = [str(part) for part in location]
    section = parts[0] if parts and parts[0] in ("method", "regime") else ""
    choices = [str(m.model_fields["name"].default) for m in sections(model, section)]
    if kind == "union_tag_invalid":
        what = f"{section}.name: {message.split(' found')[0]}"
        other = ", or give an import path such as package.module:Class"
        return f"{what}: choose one of {', '.join(choices)}{other if section else ''}"
    # A choice of models puts the name of the chosen one into the place.
    chosen = parts.pop(1) if section and set(parts[1:2]) & {*choices, OUTSIDE} else ""
    name = ".".join(parts)
    if kind != "extra_forbidden":
        return f"{name}: {message}".removeprefix(": ")
    if chosen == OUTSIDE or (chosen and name in {row[0] for row in settings(model)}):
        return f"{name}: {section} {chosen} has no such setting"
    known = [row[0] for row in settings(model)]
    section, _, last = name.rpartition(".")
    # The same name in another section, else a near one in this section, else a section.
    near = (
        [k for k in known if k.rpartition(".")[2] == last]
        or difflib.get_close_matches(
            name, [k for k in known if k.rpartition(".")[0] == section], n=1
        )
        or difflib.get_close_matches(name, sorted({k.partition(".")[0] for k in known}), n=1)
        or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    )
    return f"{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "")
