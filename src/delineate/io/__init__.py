"""Reading and writing: images, label images, outlines and tables. See `read`, `write_labels`."""

from __future__ import annotations

from delineate.io.atomic import atomic_path
from delineate.io.check import check_pixels
from delineate.io.find import ImageFile, find_images, natural_key
from delineate.io.formats import FORMATS
from delineate.io.read import read, read_labels, scenes
from delineate.io.tables import read_table, write_table
from delineate.io.write import write_image, write_labels

__all__ = [
    "FORMATS",
    "ImageFile",
    "atomic_path",
    "check_pixels",
    "find_images",
    "natural_key",
    "read",
    "read_labels",
    "read_table",
    "scenes",
    "write_image",
    "write_labels",
    "write_table",
]
