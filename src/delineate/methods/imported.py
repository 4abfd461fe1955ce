"""Methods from outside the package, named by their import path: ``package.module:Class``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from delineate.methods.base import Method
from delineate.methods.regression import Regression
from delineate.methods.segmentation import Classes

OUTSIDE = "from outside"
"""What a recipe tells them by, where those of the package have names."""

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
    if not allowed:
        raise ValueError(
            f"method {path!r} comes from outside the package: pass --allow-imports if you trust it"
        )
    module, _, attribute = path.partition(":")
    try:
        kind: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"method {path!r} cannot be imported: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, Method)):
        raise ValueError(f"method {path!r} is {kind!r}, expected a subclass of Method")
    if inspect.isabstract(kind):
        lacks = ", ".join(sorted(kind.__abstractmethods__))
        raise ValueError(f"method {path!r} is not complete: it lacks {lacks}")
    if not issubclass(kind, needed := KINDS[kind.truth]):
        raise ValueError(
            f"method {path!r} learns from {kind.truth}: expected a subclass of {needed.__name__} "
            f"({needed.__module__})"
        )
    if kind.import_path() != path:
        raise ValueError(
            f"method {path!r} is {kind.import_path() or kind.__qualname__}: give that name"
        )
    return kind.model_validate(values)
