"""`Recipe`: the typed description of data, network, method, training and prediction."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from delineate.data.augment import Augment
from delineate.data.normalise import Normalise
from delineate.errors import RecipeError
from delineate.methods.flows import Flows
from delineate.networks import NetworkOptions
from delineate.training.options import TrainOptions


class DataOptions(BaseModel):
    """Which images, and what of them the network sees."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: Path | None = Field(
        None,
        description="folder with images/ and labels/, folder of images with labels beside them "
        "(_masks, _labels …), or a CSV table with the columns image and labels",
    )
    labels: Path | None = Field(None, description="folder of labels, where it is another one")
    classes: Path | None = Field(None, description="folder of images of classes")
    table: Path | None = Field(
        None, description="CSV with columns image and split (train, val, …) and perhaps weight"
    )
    validation: float = Field(
        0.15, ge=0, lt=1, description="share of images that validates where no split is given"
    )
    axes: str | None = Field(None, description="axes of the files where they do not say, e.g. ZYX")
    channels: tuple[int, ...] | None = Field(
        None, description="channels of the files to use, from 0; null: all"
    )
    in_channels: int | None = Field(
        None, ge=1, description="channels of the network; null: as many as the images have"
    )
    ndim: Literal[2, 3] | None = Field(None, description="2 or 3; null: 3 where images have Z")
    diameter: float | None = Field(
        30.0,
        gt=0,
        description="diameter in pixels to which the objects of every image are brought; null: "
        "images keep their scale",
    )

    @field_validator("channels", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """One number, or numbers with commas, as the command line gives them."""
        if isinstance(value, int):
            return (value,)
        return [v.strip() for v in value.split(",")] if isinstance(value, str) else value


class Recipe(BaseModel):
    """All that a training needs, and with its weights all that a prediction needs.

    The same fields serve YAML files, ``--train.steps 500`` on the command line and Python.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field("model", description="name of the model")
    description: str = Field("", description="one line on what it is for")
    seed: int = Field(0, ge=0, lt=2**32, description="seed of all randomness")
    data: DataOptions = DataOptions()
    normalise: Normalise = Normalise()
    augment: Augment = Augment()
    network: NetworkOptions = NetworkOptions()
    method: Flows = Flows()
    train: TrainOptions = TrainOptions()

    @classmethod
    def build(cls, values: Mapping[str, Any], source: str = "the recipe") -> Recipe:
        """Validate nested values.

        Raises
        ------
        RecipeError : names each wrong entry, what was expected and the nearest right name.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            lines = [_explain(e["loc"], e["msg"], e["type"]) for e in error.errors()]
            raise RecipeError(f"{source} is not valid:\n  " + "\n  ".join(lines)) from error

    @classmethod
    def load(cls, path: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
        """Read a YAML file or a recipe of the package by name, with dotted overrides.

        Relative paths under ``data`` count from the folder of the file.

        Raises
        ------
        RecipeError : no such recipe, broken YAML, or invalid values.
        """
        file = find_recipe(path)
        try:
            values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise RecipeError(f"{file}: not a YAML file: {error}") from error
        if not isinstance(values, dict):
            raise RecipeError(f"{file}: expected a mapping of settings")
        data = values.get("data")
        if isinstance(data, dict):
            for key in ("images", "labels", "classes", "table"):
                if isinstance(data.get(key), str):
                    data[key] = str(file.parent / data[key])
        return cls.build(override(values, overrides or {}), str(file))

    def dump(self) -> str:
        """As YAML that `load` reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def packaged_recipes() -> dict[str, Path]:
    """Recipes that come with the package, by name."""
    folder = Path(str(resources.files("delineate") / "recipes"))
    return {p.stem: p for p in sorted(folder.glob("*.yaml"))}


def find_recipe(name: str | Path) -> Path:
    """The file of a recipe given as a path, or as the name of one in the package.

    Raises
    ------
    RecipeError : neither exists.
    """
    path = Path(name)
    if path.is_file():
        return path
    packaged = packaged_recipes()
    if str(name) in packaged:
        return packaged[str(name)]
    raise RecipeError(
        f"{name}: no such file, nor a recipe of the package ({', '.join(packaged) or 'none'})"
    )


def override(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values with dotted keys (``train.steps``) set; text is read as YAML.

    The text of a setting that is a path or a text is taken as it stands, "null" apart.

    Raises
    ------
    RecipeError : the text of a value is no YAML.
    """
    result = {k: dict(v) if isinstance(v, dict) else v for k, v in values.items()}
    for key, value in overrides.items():
        place: dict[str, Any] = result
        *path, last = key.split(".")
        for part in path:
            inner = place.get(part)
            place[part] = dict(inner) if isinstance(inner, dict) else {}
            place = place[part]
        place[last] = _parsed(key, value) if isinstance(value, str) else value
    return result


def _parsed(key: str, text: str) -> Any:
    if text in ("null", "~", ""):
        return None
    if _takes_text(key):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{key}: {text!r} is not a value: {error}") from error


def _takes_text(key: str) -> bool:
    """Whether a setting is a text or a path, so that "2024" or "cells #2" must not be parsed."""
    model: type[BaseModel] = Recipe
    *path, last = key.split(".")
    for part in path:
        kind = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            return False
        model = kind
    if last not in model.model_fields:
        return False
    kind = model.model_fields[last].annotation
    return kind in (str, Path) or kind in (str | None, Path | None)


def fields(model: type[BaseModel] = Recipe, prefix: str = "") -> list[tuple[str, str, str]]:
    """Every setting with its default and description: (dotted name, default, description)."""
    rows = []
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            rows += fields(kind, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, str(info.default), info.description or ""))
    return rows


def _explain(location: Sequence[int | str], message: str, kind: str) -> str:
    name = ".".join(str(part) for part in location)
    if kind != "extra_forbidden":
        return f"{name}: {message}"
    known = [row[0] for row in fields()]
    section, _, last = name.rpartition(".")
    # The same name in another section, else a near one in this section, else a section.
    near = (
        [k for k in known if k.rpartition(".")[2] == last]
        or difflib.get_close_matches(
            name, [k for k in known if k.rpartition(".")[0] == section], n=1
        )
        or difflib.get_close_matches(name, sorted({k.partition(".")[0] for k in known}), n=1)
        or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    )
    return f"{name}: there is no such setting" + (f"; did you mean {near[0]}?" if near else "")
