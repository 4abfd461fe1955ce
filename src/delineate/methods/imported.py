"""Methods from outside the package, named by their import path: ``package.module:Class``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from delineate.methods.base import Method
from delineate.methods.outside import imported_class
from delineate.methods.regression import Regression
from delineate.methods.segmentation import Classes

KINDS: dict[str, Any] = {"objects": Method, "classes": Classes, "image": Regression}
"""What a method must be a subclass of, by the truth that it learns from."""


def imported(values: Mapping[str, Any], *, allowed: bool) -> Method:
    """The method that a recipe names by an import path, with its parameters.

    Parameters
    ----------
    values : "name", the import path, and the fields of the class.
    allowed : whether the user allows it to be imported, which runs its code.

    Raises
    ------
    ValueError : it is not allowed, cannot be imported, is no method, or lacks what its kind asks
        for. Of wrong fields that is pydantic's ValidationError.
    """
    path = str(values["name"])
    kind: type[Method] = imported_class(path, Method, allowed=allowed)
    if not issubclass(kind, needed := KINDS[kind.truth]):
        raise ValueError(
            f"method {path!r} learns from {kind.truth}: expected a subclass of {needed.__name__} "
            f"({needed.__module__})"
        )
    return kind.model_validate(values)
