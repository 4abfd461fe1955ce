"""Reading and writing: images, label images, outlines and tables. See `read`, `write_labels`."""

from __future__ import annotations

from delineate.io.atomic import atomic_path
from delineate.io.check import check_pixels
from delineate.io.draw import Drawn, draw
from delineate.io.find import ImageFile, find_images, natural_key
from delineate.io.formats import FORMATS
from delineate.io.geojson import load_geojson, read_geojson, write_geojson
from delineate.io.outlines_text import load_outlines, write_outlines
from delineate.io.reading import read, read_label_image, read_labels, scenes
from delineate.io.rois import load_rois, read_rois, write_rois
from delineate.io.shapes import Area, Drawing
from delineate.io.tables import read_table, write_table
from delineate.io.writing import write_image, write_labels

__all__ = [
    "FORMATS",
    "Area",
    "Drawing",
    "Drawn",
    "ImageFile",
    "atomic_path",
    "check_pixels",
    "draw",
    "find_images",
    "load_geojson",
    "load_outlines",
    "load_rois",
    "natural_key",
    "read",
    "read_geojson",
    "read_label_image",
    "read_labels",
    "read_rois",
    "read_table",
    "scenes",
    "write_geojson",
    "write_image",
    "write_labels",
    "write_outlines",
    "write_rois",
    "write_table",
]
