"""`Model`: what training leaves and prediction needs, a folder of YAML, weights and a card."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import yaml
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from delineate import networks
from delineate.data.normalise import Intensity
from delineate.errors import AxesError, ModelError, RecipeError
from delineate.inference.runner import RunOptions
from delineate.model_files import BACK, CHECKSUMS, check_files, checksums, explain, not_valid
from delineate.model_files import FILE as FILE
from delineate.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from delineate.image import Image
    from delineate.inference.prediction import Prediction
    from delineate.inference.runner import Progress
    from delineate.inference.scale import ScaleModel
    from delineate.uncertainty import FeatureStatistics

SCHEMA = 1

ResultType = Literal["auto", "float32", "target"]
"""Type of the pixels of a result; auto: that of the targets for colour pictures, else float32."""


class Target(BaseModel):
    """What the images that a model gives are like; one entry a channel.

    Parameters
    ----------
    offset, scale : turn normalised intensities into those of the files, the median over the
        training targets; None: the result has the units of the image that it is made from.
    channels : their names, where the training files had some.
    dtype : type of pixels of the training targets.
    doubt : predictive variance, of normalised intensities, that 5 % of the pixels of the images
        left out (of the training images, where none was) exceed: above it nothing is to be
        measured. None: no uncertainty was known.
    cycle : the same for the error of there and back. None: there was no way back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    offset: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    channels: tuple[str, ...] = ()
    dtype: str = ""
    doubt: float | None = None
    cycle: float | None = None

    def intensity(self) -> Intensity | None:
        """Normalised intensities in the units of the files; None: those of the image."""
        if self.offset is None or self.scale is None:
            return None
        return Intensity(np.array(self.offset, np.float32), np.array(self.scale, np.float32))

    def result_type(self, image: Image, asked: ResultType = "auto") -> np.dtype[Any] | None:
        """Type of the pixels of the result for an image; None: float32, whose digits are all kept.

        Results in the units of the image have its type, others that of the targets.

        Raises
        ------
        ModelError : the type of the targets is asked for, but there was not one alone.
        """
        if asked == "float32":
            return None
        own = str(image.dtype) if self.intensity() is None else self.dtype
        if asked == "target":
            if not own:
                raise ModelError(
                    "the targets that the model was trained on were not of one type of pixels: "
                    "leave --dtype target out, so that results are float32"
                )
            return np.dtype(own)
        colours = self.channels == ("red", "green", "blue")
        return np.dtype(own) if colours and own.startswith("uint") else None


class Description(BaseModel):
    """What `model.yaml` holds.

    Parameters
    ----------
    recipe : what the model was trained by; its method holds the tuned thresholds.
    in_channels, ndim : of the network.
    diameter : diameter in pixels of the objects at the scale of the network; None: none is set.
    target : of a model that gives images, what they are like.
    scores : validation scores of each member.
    reference : uncertainty and score of images that no member, or not the one that predicted them,
        was trained on: what uncertainty means for this model.
    calibration : reliability of the pixels of these images before and after the temperature.
    provenance : numbers and hashes of the training images, versions, command, licence.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: int = Field(SCHEMA, alias="schema")
    recipe: Recipe
    in_channels: int = Field(ge=1)
    ndim: int = Field(ge=2, le=3)
    diameter: float | None = None
    target: Target | None = None
    scores: tuple[dict[str, float], ...] = ()
    reference: dict[str, Any] | None = None
    calibration: dict[str, Any] | None = None
    provenance: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Model:
    """A trained model.

    Parameters
    ----------
    description : everything but numbers.
    members : weights of each member, by parameter name.
    scale : knows the size of objects; None where the network has no style or the scale is kept.
    novelty : where the features of the training images lie, of each member; empty where unknown.
    back : model of the way back, from what this one gives to its images; None: there is none.
    card : text of `card.md`.
    source : folder that it was loaded from.
    allow_imports : whether its network may be imported from outside the package.
    """

    description: Description
    members: tuple[dict[str, Tensor], ...]
    scale: ScaleModel | None = None
    novelty: tuple[FeatureStatistics, ...] = ()
    back: Model | None = None
    card: str = ""
    source: Path | None = None
    allow_imports: bool = False
    _built: list[Any] = field(default_factory=list, repr=False)
    _runners: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Name given by the recipe."""
        return self.description.recipe.name

    @property
    def recipe(self) -> Recipe:
        """What it was trained by."""
        return self.description.recipe

    def networks(self) -> list[Any]:
        """The members as networks, weights checked strictly; built once.

        Raises
        ------
        ModelError : weights do not fit the network.
        """
        if not self._built:
            method = self.recipe.method
            for number, weights in enumerate(self.members):
                network = networks.build(
                    self.recipe.network,
                    self.description.in_channels,
                    method.out_channels(self.description.ndim),
                    self.description.ndim,
                    allow_imports=self.allow_imports,
                )
                load_strictly(network, weights, f"{self.source or self.name}, member {number}")
                self._built.append(network)
        return self._built

    def predict(
        self,
        image: Image | str | Path | ArrayLike,
        *,
        diameter: float | str | None = None,
        axes: str | None = None,
        scene: int | str | None = None,
        channels: Sequence[int] | None = None,
        planes: Sequence[int] | None = None,
        times: Sequence[int] | None = None,
        dtype: ResultType = "auto",
        options: RunOptions | None = None,
        keep_maps: bool = False,
        keep_spread: bool = False,
        progress: Progress | None = None,
        **decoding: Any,
    ) -> Prediction:
        """Segment or transform one image.

        Parameters
        ----------
        image : an `Image`, a file, or an array with `axes` in its own order, such as "YXC" or
            "ZYX" (YX where it has two).
        diameter : of the objects, in pixels, or text with a unit such as ``"8 um"`` for files that
            know their pixel size; None: the model finds it.
        axes : of the array, or of a file that does not say (``"TYX!"``: or that is wrong).
        scene : number (from 0) or name of the image in a file that holds several; None: the first.
        channels, planes : of the image, to use in place of those that the recipe names, from 0.
        times : time points to predict, from 0; None: all.
        dtype : of the pixels of the result of a model of images: "float32"; "target", that of its
            targets (of integers, rounded); "auto": "target" for colour pictures, else "float32".
        options : tiles, device, precision.
        keep_maps : keep the posterior in the prediction, to decode it again.
        keep_spread : keep all maps of uncertainty in the prediction.
        decoding : parameters of the method's decoding, such as ``threshold=0.4``.

        Raises
        ------
        ReadError, AxesError, ImageError, ModelError : as their texts say.
        """
        from delineate.image import Image as ImageType
        from delineate.inference.predict import Units, predict
        from delineate.inference.seen import at_times
        from delineate.io import read
        from delineate.uncertainty import ensemble_novelty

        if isinstance(image, str | Path):
            image = read(image, axes=axes, scene=scene)
        elif not isinstance(image, ImageType):
            image = _from_array(np.asarray(image), axes)
        data, target = self.recipe.data, self.description.target
        asked = {"channels": channels, "planes": planes}
        data = data.model_copy(update={k: tuple(v) for k, v in asked.items() if v is not None})
        image = at_times(image, times)
        found = predict(
            image,
            self.runner(options, **decoding),
            normalise=self.recipe.normalise,
            in_channels=self.description.in_channels,
            data=data,
            common=self.description.diameter,
            scale_model=self.scale,
            units=None
            if target is None
            else Units(
                target.intensity(),
                target.doubt,
                target.channels,
                target.result_type(image, dtype),
                target.cycle,
            ),
            back=None if self.back is None else self.back.runner(options),
            diameter=diameter,
            keep_maps=keep_maps,
            keep_spread=keep_spread,
            progress=progress,
        )
        if len(self.novelty) != len(found.features) or not self.novelty:
            return found
        features = [own[None] for own in found.features]
        return replace(found, novelty=float(ensemble_novelty(self.novelty, features)[0]))

    def runner(self, options: RunOptions | None = None, **decoding: Any) -> Any:
        """The networks on their device, with the method's decoding parameters changed.

        Raises
        ------
        ModelError : a decoding parameter is unknown or invalid.
        """
        from delineate.inference.runner import Runner

        method = self.recipe.method
        if decoding:
            try:
                method = type(method).model_validate({**method.model_dump(), **decoding})
            except ValidationError as error:
                first = error.errors()[0]
                known = ", ".join(type(method).model_fields)
                raise ModelError(
                    f"{'.'.join(map(str, first['loc']))}: {first['msg']}; the parameters are "
                    f"{known}"
                ) from error
            ndim = self.description.ndim
            if method.out_channels(ndim) != self.recipe.method.out_channels(ndim):
                raise ModelError(
                    f"{', '.join(decoding)}: the maps that a network puts out are fixed by its "
                    "training"
                )
        key = (options or RunOptions(), method.model_dump_json())
        if key not in self._runners:
            # Only the last is kept: it serves all images of a run, and may hold a GPU's memory.
            self._runners.clear()
            self._runners[key] = Runner(self.networks(), method, self.description.ndim, key[0])
        return self._runners[key]

    def save(self, folder: str | Path) -> Path:
        """Write the model as a folder, complete or not at all; an older one is replaced.

        Its description ends with the hashes of its files, by which `load` knows them again.
        """
        from safetensors.torch import save

        from delineate.io import atomic_path

        with atomic_path(Path(folder)) as temporary:
            temporary.mkdir(parents=True)
            for number, weights in enumerate(self.members):
                # Clones, since tied weights share memory; bytes, since the library's own files
                # are for their owner only.
                tensors = {k: v.detach().cpu().contiguous().clone() for k, v in weights.items()}
                (temporary / f"member-{number}.safetensors").write_bytes(save(tensors))
            if self.scale is not None:
                save_arrays(temporary / "scale.safetensors", self.scale.to_dict())
            for number, statistics in enumerate(self.novelty):
                save_arrays(temporary / f"novelty-{number}.safetensors", statistics.to_dict())
            (temporary / "card.md").write_text(self.card, encoding="utf-8")
            if self.back is not None:
                self.back.save(temporary / BACK)
            values = self.description.model_dump(mode="json", by_alias=True)
            values[CHECKSUMS] = checksums(temporary)
            text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
            (temporary / FILE).write_text(text, encoding="utf-8")
        return Path(folder)

    def sha256(self) -> str:
        """Hash of description, weights, scale, novelty and way back: the identity of the model."""
        digest = hashlib.sha256(self.description.model_dump_json(by_alias=True).encode())
        for weights in self.members:
            for name in sorted(weights):
                digest.update(name.encode())
                digest.update(weights[name].cpu().float().numpy().tobytes())
        for arrays in (self.scale, *self.novelty):
            if arrays is not None:
                digest.update(b"".join(a.tobytes() for a in arrays.to_dict().values()))
        if self.back is not None:
            digest.update(self.back.sha256().encode())
        return digest.hexdigest()


def _from_array(pixels: np.ndarray[Any, Any], axes: str | None) -> Image:
    """An array as image, its axes brought to the order of `Image`.

    Raises
    ------
    AxesError : the axes are not known, or do not fit.
    ReadError : pixels that are no real numbers.
    """
    from delineate.io.axes import Raw, to_image

    if axes is None and pixels.ndim != 2:
        raise AxesError(
            f"an array of shape {pixels.shape} needs names for its axes, for instance "
            'axes="ZYX" (a volume), "TYX" (a movie), "CYX" or "YXC" (channels)'
        )
    named = to_image(Raw(pixels, "Q" * pixels.ndim), Path("the array"), axes or "YX")
    return replace(named, source=None)


def load_strictly(network: Any, weights: dict[str, Tensor], source: str) -> None:
    """Load weights into a network; every name and shape must agree.

    Raises
    ------
    ModelError : names what lacks, what is too much and which shapes differ.
    """
    own = network.state_dict()
    lacks = sorted(set(own) - set(weights))
    spare = sorted(set(weights) - set(own))
    differ = [
        f"{k} {tuple(weights[k].shape)} instead of {tuple(own[k].shape)}"
        for k in own
        if k in weights and own[k].shape != weights[k].shape
    ]
    if lacks or spare or differ:
        parts = [
            f"{what} {', '.join(names[:3])}{' …' if len(names) > 3 else ''}"
            for what, names in (("lacks", lacks), ("has also", spare), ("differs in", differ))
            if names
        ]
        raise ModelError(f"{source}: the weights do not fit the network: {'; '.join(parts)}")
    network.load_state_dict({k: v.to(own[k].dtype) for k, v in weights.items()}, strict=True)


def packaged_models() -> dict[str, Path]:
    """Models that come with the package, by name."""
    folder = Path(str(resources.files("delineate") / "zoo"))
    return {p.parent.name: p.parent for p in sorted(folder.glob(f"*/{FILE}"))}


def load(name: str | Path, *, allow_imports: bool = False) -> Model:
    """Load a model by the name of a packaged one, or from its folder. Executes nothing from it.

    A folder of that name that holds no model, such as one of images, hides no packaged one.

    Parameters
    ----------
    allow_imports : whether a network or a method from outside the package may be imported.

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


def save_arrays(file: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write named arrays as safetensors, contiguous as the format asks."""
    from safetensors.numpy import save

    file.write_bytes(save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
