"""Delineate: microscopy images into segmentations and other images, with their trustworthiness."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "Image": "delineate.image",
    "read": "delineate.io",
    "load": "delineate.model",
    "Model": "delineate.model",
    "Recipe": "delineate.recipe",
    "train": "delineate.runs.train",
    "DelineateError": "delineate.errors",
}

__all__ = ["DelineateError", "Image", "Model", "Recipe", "__version__", "load", "read"]

if TYPE_CHECKING:
    from delineate.errors import DelineateError
    from delineate.image import Image
    from delineate.io import read


def __getattr__(name: str) -> Any:
    """Load public names when they are first used, so that the package itself imports at once."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'delineate' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_PUBLIC))
