"""The package's own errors: each says what was found, what was expected and what to do."""

from __future__ import annotations


def to_install(extra: str) -> str:
    """What a person does to install the libraries of an extra of the package, for messages."""
    return f"install the extra {extra!r} (in a clone: pip install '.[{extra}]')"


class DelineateError(Exception):
    """Base of every error that a user can mend; the command line shows it without a traceback."""


class ReadError(DelineateError):
    """A file cannot be read, or is not what its name says."""


class WriteError(DelineateError):
    """A result cannot be written."""


class AxesError(DelineateError):
    """The axes of an image are unknown, contradictory or not usable for the task."""


class ImageError(DelineateError):
    """The pixels of an image cannot be used (NaN, infinite, no pixels, wrong channels)."""


class LabelError(DelineateError):
    """A label image is not one: wrong shape, wrong type, or it does not fit its image."""


class RecipeError(DelineateError):
    """A recipe or an override of it is invalid."""


class DataError(DelineateError):
    """Training data cannot be paired, split or used."""


class ModelError(DelineateError):
    """A model cannot be found, loaded or used for this image."""
