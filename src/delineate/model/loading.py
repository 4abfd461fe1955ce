"""A model from its folder, or by its name from those of the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from delineate.errors import ModelError, RecipeError
from delineate.model.description import SCHEMA, Description
from delineate.model.files import BACK, CHECKSUMS, FILE, check_files, explain, not_valid
from delineate.model.model import Model
from delineate.recipe import Recipe


def packaged_models() -> dict[str, Path]:
    """Models that come with the package, by name."""
    folder = Path(str(resources.files("delineate") / "zoo"))
    return {p.parent.name: p.parent for p in sorted(folder.glob(f"*/{FILE}"))}


def load(name: str | Path, *, allow_imports: bool = False) -> Model:
    """Load a model by the name of a packaged one, or from its folder. Executes nothing from it.

    A folder of that name that holds no model, such as one of images, hides no packaged one.

    Parameters
    ----------
    allow_imports : whether a network, method or regime from outside the package may be imported.

    Raises
    ------
    ModelError : there is no such model, its files are damaged or not those that were saved, or
        this version does not understand its description.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file as load_arrays
    from safetensors.torch import load_file

    from delineate.inference.scale import ScaleModel
    from delineate.uncertainty import FeatureStatistics

    folder = Path(name)
    if not (folder / FILE).is_file():
        packaged = packaged_models()
        if str(name) not in packaged:
            raise ModelError(
                f"{name}: no model of this name in the package ({', '.join(packaged) or 'none'}), "
                f"and no folder with a {FILE}"
            )
        folder = packaged[str(name)]
    try:
        values = yaml.safe_load((folder / FILE).read_text(encoding="utf-8"))
        schema = values.get("schema", SCHEMA) if isinstance(values, dict) else SCHEMA
        if isinstance(schema, int) and schema > SCHEMA:
            raise ModelError(
                f"{folder}: written by a newer version (schema {schema}): update delineate"
            )
        if not isinstance(values, dict):
            raise ModelError(f"{folder}: the model is damaged: {FILE} holds no description")
        check_files(folder, values.pop(CHECKSUMS, None))
        description = _described(folder, values, allow_imports)
        files = sorted(folder.glob("member-*.safetensors"), key=_number)
        members = tuple(load_file(f) for f in files)
        scale_file = folder / "scale.safetensors"
        scale = ScaleModel.from_dict(load_arrays(scale_file)) if scale_file.exists() else None
        novelty = tuple(
            FeatureStatistics.from_dict(load_arrays(f))
            for f in sorted(folder.glob("novelty-*.safetensors"), key=_number)
        )
        card = folder / "card.md"
        text = card.read_text(encoding="utf-8") if card.exists() else ""
    except (yaml.YAMLError, SafetensorError, OSError, ValueError, LookupError) as error:
        raise ModelError(f"{folder}: the model is damaged: {error}") from error
    if not members:
        raise ModelError(f"{folder}: no weights: expected member-0.safetensors")
    if len(novelty) not in (0, len(members)):
        raise ModelError(
            f"{folder}: statistics of features (novelty-0.safetensors …) of {len(novelty)} "
            f"members, expected of all {len(members)}: the model is not complete"
        )
    numbers, expected = [_number(f) for f in files], len(description.scores) or len(files)
    if numbers != list(range(expected)):
        raise ModelError(
            f"{folder}: weights of members {', '.join(map(str, numbers))}, expected 0 to "
            f"{expected - 1}: the model is not complete"
        )
    return Model(
        description,
        members,
        scale,
        novelty,
        back=load(folder / BACK, allow_imports=allow_imports)
        if (folder / BACK / FILE).is_file()
        else None,
        card=text,
        source=folder,
        allow_imports=allow_imports,
    )


def _described(folder: Path, values: dict[str, Any], allow_imports: bool) -> Description:
    """The description that `model.yaml` holds; a method from outside is imported if allowed.

    Raises
    ------
    ModelError : it is not valid; each wrong entry is named.
    """
    try:
        if isinstance(recipe := values.get("recipe"), dict):
            built = Recipe.build(recipe, "its recipe", allow_imports=allow_imports, trained=True)
            values = {**values, "recipe": built}
        return Description.model_validate(values)
    except RecipeError as error:
        raise not_valid(folder, values, str(error).splitlines()) from error
    except ValidationError as error:
        known = {info.alias or name: info for name, info in Description.model_fields.items()}
        raise not_valid(folder, values, explain(error, known)) from error


def _number(file: Path) -> int:
    return int(file.stem.rpartition("-")[2])
