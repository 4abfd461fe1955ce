"""What a recipe may name by the import path of a class: ``package.module:Class``."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

OUTSIDE = "from outside"
"""What a recipe tells classes from outside by, where those of the package have names."""


class Importable(BaseModel):
    """A section of a recipe whose class may come from outside the package.

    Its fields are its parameters; written as a recipe, its name is its import path.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def import_path(cls) -> str | None:
        """What recipes name a class from outside the package by; None for those of the package."""
        inside = cls.__module__.partition(".")[0] == __name__.partition(".")[0]
        return None if inside else f"{cls.__module__}:{cls.__qualname__}"

    @property
    def title(self) -> str:
        """Name in messages and tables."""
        return self.import_path() or str(getattr(self, "name", type(self).__name__))

    @model_serializer(mode="wrap")
    def _write(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = handler(self)
        path = self.import_path()
        return values if path is None else {**values, "name": path}

    @model_validator(mode="before")
    @classmethod
    def _read(cls, values: Any) -> Any:
        """What `_write` gives; the name of the class itself is its own affair."""
        path = cls.import_path()
        if path is None or not isinstance(values, Mapping) or values.get("name") != path:
            return values
        return {key: value for key, value in values.items() if key != "name"}


def imported_class(path: str, base: type[Any], *, allowed: bool) -> type[Any]:
    """The class that an import path names.

    Parameters
    ----------
    base : the `Importable` that it must be a subclass of; its name is that of its kind in messages.
    allowed : whether the user allows it to be imported, which runs its code.

    Raises
    ------
    ValueError : it is not allowed, cannot be imported, is no such class, is not complete, or has
        another name.
    """
    what = f"{base.__name__.lower()} {path!r}"
    if not allowed:
        raise ValueError(
            f"{what} comes from outside the package: pass --allow-imports if you trust it"
        )
    module, _, attribute = path.partition(":")
    try:
        kind: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{what} cannot be imported: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, Importable) and issubclass(kind, base)):
        raise ValueError(f"{what} is {kind!r}, expected a subclass of {base.__name__}")
    if inspect.isabstract(kind):
        lacks = ", ".join(sorted(kind.__abstractmethods__))
        raise ValueError(f"{what} is not complete: it lacks {lacks}")
    if kind.import_path() != path:
        raise ValueError(f"{what} is {kind.import_path() or kind.__qualname__}: give that name")
    return kind
