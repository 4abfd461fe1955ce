"""Trained models: what describes them, their files, loading and saving them, predicting by them."""

from delineate.model.description import Description, ResultType, Target
from delineate.model.files import FILE
from delineate.model.loading import load, packaged_models
from delineate.model.model import Model
from delineate.model.weights import load_strictly

__all__ = [
    "FILE",
    "Description",
    "Model",
    "ResultType",
    "Target",
    "load",
    "load_strictly",
    "packaged_models",
]
