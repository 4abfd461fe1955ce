"""`Recipe`: the typed description of data, network, method, training and prediction."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializeAsAny,
    Tag,
    ValidationError,
    ValidationInfo,
    WrapValidator,
    model_validator,
)

from delineate.data.augment import Augment
from delineate.data.normalise import Normalise
from delineate.data.options import PATHS, DataOptions
from delineate.errors import RecipeError
from delineate.methods.base import Method
from delineate.methods.flows import Flows
from delineate.methods.imported import imported
from delineate.methods.outside import OUTSIDE
from delineate.methods.regression import Regression
from delineate.methods.semantic import Semantic
from delineate.networks import NetworkOptions
from delineate.recipe_text import explain, sections, settings
from delineate.training.blind_options import BlindSpotOptions
from delineate.training.ensemble import EnsembleOptions
from delineate.training.gan_checks import check_adversarial, check_judged
from delineate.training.gan_options import CycleGANOptions, with_back_named
from delineate.training.options import TrainOptions
from delineate.training.regimes import AnyRegime, SupervisedOptions

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def _method_name(value: Any) -> str:
    """The name of a method, which may be left out of a recipe: then it is flows."""
    if isinstance(value, Mapping):
        name = str(value.get("name", "flows"))
        return OUTSIDE if ":" in name else name
    if isinstance(value, Method) and type(value) not in (Flows, Semantic, Regression):
        return OUTSIDE
    return str(getattr(value, "name", type(value).__name__))


def _from_outside(value: Any, _: Any, info: ValidationInfo) -> Method:
    """A method that is given as such, or by its import path where the user allows it."""
    if isinstance(value, Method):
        return value
    return imported(value, allowed=bool((info.context or {}).get("allow_imports")))


AnyMethod = Annotated[
    Annotated[Flows, Tag("flows")]
    | Annotated[Semantic, Tag("semantic")]
    | Annotated[Regression, Tag("regression")]
    | Annotated[SerializeAsAny[Method], WrapValidator(_from_outside), Tag(OUTSIDE)],
    Discriminator(_method_name),
]
"""The methods, told apart by `name`; what follows it are the parameters of that method. A name with
a colon is the import path of a class from outside the package."""


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
    normalise_target: Normalise | None = Field(
        None,
        description="of images that are wanted; null: as the image that they belong to, for "
        "restoration, so that the result has its units",
    )
    augment: Augment = Augment()
    network: NetworkOptions = NetworkOptions()
    method: AnyMethod = Flows()
    regime: AnyRegime = SupervisedOptions()
    train: TrainOptions = TrainOptions()
    ensemble: EnsembleOptions = EnsembleOptions()

    @model_validator(mode="after")
    def _keep_scale(self) -> Self:
        """Images of classes, and images to be turned into images, keep their scale unless asked."""
        if self.method.truth != "objects" and "diameter" not in self.data.model_fields_set:
            # The recipe is frozen, and not yet anyone else's.
            object.__setattr__(self, "data", self.data.model_copy(update={"diameter": None}))
        return self

    @model_validator(mode="after")
    def _name_back(self) -> Self:
        """The way back of a CycleGAN is the network that was chosen, unless it is named."""
        if isinstance(self.regime, CycleGANOptions):
            object.__setattr__(self, "regime", with_back_named(self.regime, self.network))
        return self

    @model_validator(mode="after")
    def _suits(self, info: ValidationInfo) -> Self:
        """Regime, method and data fit each other, and a training to come them."""
        if self.normalise.kind == "match":
            raise ValueError("normalise.kind match is for targets: set it in normalise_target")
        if self.data.unpaired and not self.regime.unpaired:
            raise ValueError(
                f"data.unpaired: regime {self.regime.title} learns from pairs; choose regime.name "
                "cyclegan, or leave it out"
            )
        check_adversarial(self.regime, self.method, self.data, self.train)
        if not (info.context or {}).get("trained"):
            check_judged(self.regime, self.data, self.train)
        return self

    @model_validator(mode="after")
    def _keep_noise(self) -> Self:
        """Blind spots: what hides a pixel's noise from the network is not undone beforehand."""
        if not isinstance(self.regime, BlindSpotOptions):
            return self
        still = Augment(rotate=0, scale=(1, 1))
        names = ("rotate", "scale", "blur", "elastic", "grid", "clahe")
        wrong = [n for n in names if getattr(self.augment, n) != getattr(still, n)]
        if wrong:
            found = ", ".join(f"augment.{n} {getattr(self.augment, n)}" for n in wrong)
            right = ", ".join(f"augment.{n} to {'1,1' if n == 'scale' else 0}" for n in wrong)
            raise ValueError(
                f"regime blind-spot asks for pixels whose noise is their own, and {found} "
                f"{'mixes' if len(wrong) == 1 else 'mix'} them with their neighbours: set {right}"
            )
        if self.regime.line and self.augment.quarter_turns:
            raise ValueError(
                f"regime.line {self.regime.line} hides pixels along X, and augment.quarter_turns "
                "turns the noise of lines to Y: set augment.quarter_turns to false"
            )
        return self

    @model_validator(mode="after")
    def _keep_vectors(self) -> Self:
        """Space is not bent under vectors."""
        if self.augment.bends and self.method.vectors(2):
            raise ValueError(
                "augment.elastic and augment.grid bend space, under which the vectors of method "
                f"{self.method.title} have no exact value: set both to 0, or choose another method"
            )
        return self

    @classmethod
    def build(
        cls,
        values: Mapping[str, Any],
        source: str = "the recipe",
        *,
        allow_imports: bool = False,
        trained: bool = False,
    ) -> Recipe:
        """Validate nested values.

        Parameters
        ----------
        allow_imports : whether a method or regime from outside the package may be imported.
        trained : whether it is a record of what was trained by, not of what is to be.

        Raises
        ------
        RecipeError : names each wrong entry, what was expected and the nearest right name.
        """
        try:
            context = {"allow_imports": allow_imports, "trained": trained}
            return cls.model_validate(values, context=context)
        except ValidationError as error:
            lines = [explain(cls, e["loc"], e["msg"], e["type"]) for e in error.errors()]
            raise RecipeError(f"{source} is not valid:\n  " + "\n  ".join(lines)) from error

    @classmethod
    def load(
        cls,
        path: str | Path,
        overrides: Mapping[str, Any] | None = None,
        *,
        allow_imports: bool = False,
    ) -> Recipe:
        """Read a YAML file or a recipe of the package by name, with dotted overrides.

        Relative paths in the file count from its folder.

        Parameters
        ----------
        allow_imports : as for `build`.

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
            _from(file.parent, data, PATHS)
        if isinstance(network := values.get("network"), dict):
            _from(file.parent, network, ("weights",))
        values = override(values, overrides or {})
        return cls.build(values, str(file), allow_imports=allow_imports)

    def dump(self) -> str:
        """As YAML that `load` reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _from(folder: Path, section: dict[str, Any], keys: Sequence[str]) -> None:
    """Let the relative paths in a section count from a folder."""
    for key in keys:
        if isinstance(section.get(key), str):
            section[key] = str(folder / section[key])


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
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RecipeError(f"{key}: {text!r} is not a value: {error}") from error
    if isinstance(value, str) and "options" in key.split(".")[:-1]:
        return _numbers(value)
    return value


def _numbers(text: str) -> Any:
    """Numbers with commas between them as a list, a number that YAML takes for text (1e-3) as one.

    Other settings know their types; what a network takes, nobody knows here. Other text is kept.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(_NUMBER.fullmatch(part) for part in parts):
        return text
    found = [float(p) if set(p) & set(".eE") else int(p) for p in parts]
    return found if len(found) > 1 else found[0]


def _takes_text(key: str) -> bool:
    """Whether a setting is a text or a path, so that "2024" or "cells #2" must not be parsed."""
    models: list[type[BaseModel]] = [Recipe]
    *path, last = key.split(".")
    for part in path:
        models = [m for model in models for m in sections(model, part)]
    kinds = [m.model_fields[last].annotation for m in models if last in m.model_fields]
    texts: tuple[Any, ...] = (str, Path, str | None, Path | None)
    return any(kind in texts for kind in kinds)


def fields() -> list[tuple[str, str, str]]:
    """Every setting of a recipe: (dotted name, default, description), as `settings` lists them."""
    return settings(Recipe)
