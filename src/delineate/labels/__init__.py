"""Label images: number, filter, fill, outline, stitch and measure objects in 2D and 3D."""

from delineate.labels.boundaries import boundaries
from delineate.labels.clear_border import clear_border
from delineate.labels.diameters import diameters, median_diameter
from delineate.labels.fill_holes import fill_holes
from delineate.labels.measure import Table, measure
from delineate.labels.outlines import Outline, Polygon, outlines
from delineate.labels.relabel import compact, object_sizes, relabel, smallest_dtype
from delineate.labels.remove_small import remove_small
from delineate.labels.stitch import stitch

__all__ = [
    "Outline",
    "Polygon",
    "Table",
    "boundaries",
    "clear_border",
    "compact",
    "diameters",
    "fill_holes",
    "measure",
    "median_diameter",
    "object_sizes",
    "outlines",
    "relabel",
    "remove_small",
    "smallest_dtype",
    "stitch",
]
