"""Files that hold several images: which of them is meant."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from delineate.errors import ReadError

log = logging.getLogger("delineate")


def pick_scene(
    path: Path,
    names: Sequence[str],
    scene: int | str | None,
    own: Sequence[int] | None = None,
) -> int:
    """Number of the scene that is asked for: the first where none is, with a warning.

    Parameters
    ----------
    names : of all scenes.
    own : numbers of those that are images, not thumbnails of others; None: all.

    Raises
    ------
    ReadError : there is no such scene.
    """
    if scene is None:
        numbers = range(len(names)) if own is None else own
        if len(numbers) > 1:
            _warn(path, len(numbers), _listed(names, numbers))
        return numbers[0]
    number = scene_number(names, scene)
    if number is None:
        raise ReadError(
            f"{path}: has no scene {scene!r}; it holds {len(names)}, numbered from 0: "
            f"{_listed(names, range(len(names)))}"
        )
    return number


def scene_number(names: Sequence[str], scene: int | str) -> int | None:
    """Number of a scene that is given by its name, or by its number, from 0; None: no such."""
    if isinstance(scene, str) and scene in names:
        return names.index(scene)
    if isinstance(scene, str) and scene.isdecimal():
        scene = int(scene)
    return scene if isinstance(scene, int) and 0 <= scene < len(names) else None


@lru_cache(maxsize=1024)
def _warn(path: Path, count: int, listed: str) -> None:
    """Say once that a file is not read as a whole, however often it is read."""
    log.warning(
        "%s: holds %d images, only the first is read (%s): scene= reads another in Python, "
        "--scene in predict; for all else save each in a file of its own",
        path,
        count,
        listed,
    )


def _listed(names: Sequence[str], numbers: Sequence[int]) -> str:
    shown = ", ".join(f"{i} {names[i]!r}" for i in numbers[:8])
    return shown + (", …" if len(numbers) > 8 else "")
