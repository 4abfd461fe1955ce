"""Label images: number, filter, fill, outline, stitch and measure objects in 2D and 3D."""

from delineate.labels.diameters import diameters, median_diameter
from delineate.labels.fill_holes import fill_holes
from delineate.labels.relabel import compact, object_sizes, relabel, smallest_dtype
from delineate.labels.remove_small import remove_small

__all__ = [
    "compact",
    "diameters",
    "fill_holes",
    "median_diameter",
    "object_sizes",
    "relabel",
    "remove_small",
    "smallest_dtype",
]
