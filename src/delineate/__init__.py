"""Delineate: microscopy images into segmentations and other images, with their trustworthiness."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "DelineateError": "delineate.errors",
    "Image": "delineate.image",
    "Model": "delineate.model",
    "Recipe": "delineate.recipe",
    "consensus_folder": "delineate.runs.consensus",
    "evaluate_folder": "delineate.runs.evaluate",
    "evaluate_images": "delineate.runs.evaluate_images",
    "load": "delineate.model",
    "predict_folder": "delineate.runs.predict",
    "read": "delineate.io",
    "train": "delineate.runs.train",
}

__all__ = [
    "DelineateError",
    "Image",
    "Model",
    "Recipe",
    "__version__",
    "consensus_folder",
    "evaluate_folder",
    "evaluate_images",
    "load",
    "predict_folder",
    "read",
    "train",
]

if TYPE_CHECKING:
    from delineate.errors import DelineateError
    from delineate.image import Image
    from delineate.io import read
    from delineate.model import Model, load
    from delineate.recipe import Recipe
    from delineate.runs.consensus import consensus_folder
    from delineate.runs.evaluate import evaluate_folder
    from delineate.runs.evaluate_images import evaluate_images
    from delineate.runs.predict import predict_folder
    from delineate.runs.train import train


def __getattr__(name: str) -> Any:
    """Load public names when they are first used, so that the package itself imports at once."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'delineate' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_PUBLIC))
