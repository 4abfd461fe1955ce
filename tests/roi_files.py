"""ROI files written by roifile, and polygons filled by matplotlib, as independent references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.path import Path as Outline
from numpy.typing import NDArray
from roifile import ImagejRoi, roiwrite

SHAPE = (40, 50)


def centres(shape: tuple[int, int] = SHAPE) -> NDArray[np.float64]:
    """Centres of the pixels as (x, y), row by row."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.stack([x.ravel(), y.ravel()], axis=1)


def inside(points: Any, shape: tuple[int, int] = SHAPE) -> NDArray[np.bool_]:
    """Pixels whose centres lie in a polygon (x, y), by matplotlib."""
    closed = np.concatenate([points, np.asarray(points)[:1]])
    return Outline(closed).contains_points(centres(shape)).reshape(shape)


def archive(path: Path, *rois: ImagejRoi) -> Path:
    path.unlink(missing_ok=True)
    roiwrite(path, list(rois))
    return path
