"""Whether the same objects are found in predicted images as in true ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from delineate.errors import ModelError
from delineate.image import Image
from delineate.metrics import ObjectScores, score_objects
from delineate.runs.image_pairs import Opened

if TYPE_CHECKING:
    from delineate.model import Model


@dataclass(frozen=True)
class Segmenter:
    """A model that segments prediction and truth alike, and how their objects are compared.

    Parameters
    ----------
    model : any model that finds objects.
    channels : channels of the images that it is given; None: as its recipe says, or the only one.
    min_size : objects of fewer pixels are left out on both sides.
    tolerance : of the boundary F score, in pixels.
    """

    model: Model
    channels: Sequence[int] | None = None
    min_size: int = 0
    tolerance: float = 2.0

    def compare(self, opened: Opened) -> Iterator[ObjectScores]:
        """Agreement of the segmentations of prediction and truth, of each time point.

        Raises
        ------
        ModelError : the model gives no objects.
        ImageError : the channels do not suit it.
        """
        found, true = (self._labels(image) for image in (opened.prediction, opened.truth))
        of_all = "T" not in opened.truth.axes
        for frame in opened.frames:
            at = ... if frame is None else frame
            own = true if of_all else true[at]
            yield score_objects(own, found[at], min_size=self.min_size, tolerance=self.tolerance)

    def _labels(self, image: Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
        channels = (0,) if image.n_channels == 1 else self.channels
        labels = self.model.predict(image, channels=channels).labels
        if labels is None:
            raise ModelError(
                f"model {self.model.name} makes images, not objects: give --segment a model that "
                "segments, such as nuclei"
            )
        return labels
