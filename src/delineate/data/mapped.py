"""An image of a pair, or the image wanted of it, with the map found for its intensities."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.data.intensity import Intensity
from delineate.data.normalise import Normalise, matched
from delineate.data.precision import Single, check_results, single_precision
from delineate.errors import DataError, ImageError


class Mapped(NamedTuple):
    """An image (channels, spatial axes) that float32 holds, and the map found for it.

    `name` is what messages call it.
    """

    single: Single
    intensity: Intensity
    name: str

    def normalised(self) -> NDArray[np.float32]:
        """The image as the network takes it.

        Raises
        ------
        ImageError : normalised, it is more than float32 holds.
        """
        with np.errstate(over="ignore"):
            pixels = self.intensity.apply(self.single.pixels)
        if not np.isfinite(pixels).all():
            raise ImageError(
                f"{self.name}: its pixels are more than float32 holds once they are normalised; "
                "are its values of another size than those of what belongs to it?"
            )
        return pixels

    def to_dict(self) -> dict[str, Any]:
        """The map in the units of the file, as `intensity_from_dict` reads it."""
        return self.single.of_file(self.intensity).to_dict()


def map_image(pixels: NDArray[Any], rule: Normalise, name: str) -> Mapped:
    """An image with the map that a rule finds for it.

    Raises
    ------
    ImageError : its pixels cannot be computed with; see `single_precision` and `Normalise.fit`.
    """
    single = single_precision(pixels, rule, name)
    return Mapped(single, rule.fit(single.pixels), name)


def map_target(
    pixels: NDArray[Any],
    rule: Normalise | None,
    image: Mapped | None,
    image_rule: Normalise,
    name: str,
) -> Mapped:
    """The image wanted with its map: by a rule of its own, else by the map of its image.

    Parameters
    ----------
    pixels : (channels, spatial axes), in the units of its file.
    rule : of targets; None: they are in the units of their image.
    image : that it belongs to, None of unpaired data, and the rule of images.

    Raises
    ------
    DataError : it is to be matched to its image, and there is none or they are not alike.
    ImageError : as for `map_image`, or results in its units are more than float32 holds.
    """
    if rule is not None and rule.kind == "match":
        if image is None:
            raise DataError(
                "normalise_target.kind match brings a target to the scale of its image, and it has "
                "none: choose another kind for unpaired data"
            )
        single = single_precision(pixels, rule, name)
        found = matched(single.pixels, image.single.pixels, image.intensity, name)
        target = Mapped(single, found, name)
    elif rule is None and image is not None:
        single = replace(image.single, pixels=image.single.alike(pixels))
        target = Mapped(single, image.intensity.for_channels(len(pixels)), name)
    else:
        target = map_image(pixels, rule or image_rule, name)
    check_results(target.single.of_file(target.intensity), name)
    return target
