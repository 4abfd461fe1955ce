"""Files that hold several images: which of them is meant."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from delineate.errors import ReadError

log = logging.getLogger("delineate")


def pick_scene(path: Path, names: Sequence[str], scene: int | str | None) -> int:
    """Number of the scene that is asked for: the first where none is, and the log says so.

    Raises
    ------
    ReadError : there is no such scene.
    """
    if scene is None:
        if len(names) > 1:
            log.info(
                "%s: holds %d images, the first is read (%s)", path.name, len(names), _listed(names)
            )
        return 0
    if isinstance(scene, str) and scene in names:
        return names.index(scene)
    if isinstance(scene, str) and scene.isdecimal():
        scene = int(scene)
    if isinstance(scene, int) and 0 <= scene < len(names):
        return scene
    raise ReadError(
        f"{path}: has no scene {scene!r}; it holds {len(names)}, numbered from 0: {_listed(names)}"
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"{i} {name!r}" for i, name in enumerate(names[:8]))
    return shown + (", …" if len(names) > 8 else "")
