"""`Model`: what training leaves and prediction needs, a folder of YAML, weights and a card."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from numpy.typing import ArrayLike
from pydantic import ValidationError

from delineate import networks
from delineate.errors import AxesError, ModelError
from delineate.inference.runner import RunOptions
from delineate.model.description import Description, ResultType
from delineate.model.files import BACK, CHECKSUMS, FILE, checksums
from delineate.model.weights import load_strictly, save_arrays
from delineate.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from delineate.data.options import DataOptions
    from delineate.image import Image
    from delineate.inference.prediction import Prediction
    from delineate.inference.runner import Progress
    from delineate.inference.scale import ScaleModel
    from delineate.uncertainty import FeatureStatistics


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
        target = self.description.target
        image = at_times(image, times)
        found = predict(
            image,
            self.runner(options, **decoding),
            normalise=self.recipe.normalise,
            in_channels=self.description.in_channels,
            data=self.uses(channels, planes),
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

    def uses(
        self, channels: Sequence[int] | None = None, planes: Sequence[int] | None = None
    ) -> DataOptions:
        """What of an image the networks see: as the recipe says, or what is asked for instead."""
        asked = {"channels": channels, "planes": planes}
        given = {name: tuple(value) for name, value in asked.items() if value is not None}
        data = self.recipe.data
        return data.model_copy(update={"ndim": self.description.ndim, **given})

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
