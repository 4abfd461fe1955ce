"""Each image of files that hold several: a name and a number for every one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from delineate.io.find import ImageFile
from delineate.io.pick_scene import scene_number
from delineate.io.reading import scenes_of

log = logging.getLogger("delineate")

_LONGEST = 80
"""Bytes of a file name that the name of a scene may take."""


class Scenes(NamedTuple):
    """Images to work on, and lines that say which file holds how many."""

    images: list[ImageFile]
    notes: list[str]


def each_scene(files: Iterable[ImageFile], wanted: Sequence[int | str] = ()) -> Scenes:
    """One image for every scene of the files.

    Scenes of a file of several are called ``NAME-SCENE``; a file of one image keeps its name. What
    only shows a slide, such as its thumbnail, is left out unless it is asked for.

    Parameters
    ----------
    files : of which those with a scene stay as they are. A file that cannot be opened stays too:
        reading it tells why.
    wanted : names or numbers (from 0) of the scenes to take; empty: all. A file that has none of
        them stays with the first of them, which reading it refuses.

    Returns
    -------
    images : in the order of the files and their scenes, their names unique whatever their case.
    """
    found: list[ImageFile] = []
    notes = []
    files = list(files)
    taken = {file.name.casefold() for file in files}
    missing = dict.fromkeys(wanted)
    for file in files:
        if file.scene is not None:
            found.append(file)
            continue
        try:
            names, own = scenes_of(file.path)
        except Exception:
            log.debug("%s", file.path, exc_info=True)
            found.append(file)
            continue
        chosen = set(own)
        if wanted:
            numbers = {scene: scene_number(names, scene) for scene in wanted}
            chosen = {number for number in numbers.values() if number is not None}
            for scene, number in numbers.items():
                if number is not None:
                    missing.pop(scene, None)
        if not chosen:
            found.append(file._replace(scene=wanted[0]))
            continue
        several = len(own) > 1
        if several:
            part = "" if chosen >= set(own) else f", {len(chosen)} chosen"
            notes.append(f"{file.path.name} holds {len(own)} images{part}")
        for number, name in enumerate(names):
            if not several and number in own:
                called = file.name
            else:  # named before it is chosen, so that a choice does not change names
                called = _unique(f"{file.name}-{file_part(name) or number}", taken)
            if number in chosen:
                found.append(ImageFile(file.path, called, number if len(names) > 1 else None))
    if missing:
        notes.append(f"no file has a scene {', '.join(map(repr, missing))}")
    return Scenes(found, notes)


def file_part(name: str) -> str:
    """A name as part of a file name: letters, digits, ``_`` and ``-``, not too long."""
    safe = re.sub(r"[^\w-]+", "_", name).strip("_-")
    return safe.encode()[:_LONGEST].decode(errors="ignore")


def _unique(name: str, taken: set[str]) -> str:
    """The name, with a number where it is taken; it is taken from now on."""
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{name}-{number}"
    taken.add(free.casefold())
    return free
