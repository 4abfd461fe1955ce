"""`Sample`: one prepared image, whose arrays may lie in a file until they are used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.data.intensity import Intensity
from delineate.data.points import Points
from delineate.methods.base import Truth


@dataclass(frozen=True, eq=False)
class Sample:
    """One prepared image.

    Parameters
    ----------
    name : name of its pair.
    image : float32 (channels, spatial axes), normalised, at the common scale.
    targets : float32 (target channels, spatial axes), as the method encodes them.
    labels : int32 (spatial axes), ids of objects at the common scale.
    centres : float32 (objects, ndim): centre of the box of each object, in pixels.
    diameter : median diameter of the objects in pixels of the file; NaN without objects, or where
        they are specks beside those of other images, by which the image was not scaled.
    scale : pixels of the sample for each pixel of the file.
    weight : how often it is drawn relative to others.
    points : pixels of each class; None where they are not known.
    soft : whether the targets are interpolated across borders: probabilities of classes, or images.
    cost : float32 (spatial axes), the weight of each pixel; None: all count alike.
    kind : what the method learns from: "objects", "classes" or "image".
    target_intensity : how the image wanted was normalised; None where there is none.
    intensity : how the image was normalised; None where there is none.
    dtype : type of the pixels of its file; "" where there is none.
    counts : whether any pixel does: its cost map is not 0 everywhere.

    Where label files hold classes, `labels` are those, −1 where they are to be ignored, and objects
    are their connected parts; where an image is wanted, they are 0. Of unpaired data, `image` or
    `targets` has no channels.

    Any of the arrays may be given as a function that opens it, which is called at every use.
    """

    name: str
    image: NDArray[np.float32]
    targets: NDArray[np.float32]
    labels: NDArray[np.int32]
    centres: NDArray[np.float32]
    diameter: float
    scale: float
    weight: float
    points: Points | None = None
    soft: bool = False
    cost: NDArray[np.float32] | None = None
    kind: Truth = "objects"
    target_intensity: Intensity | None = None
    dtype: str = ""
    intensity: Intensity | None = None
    counts: bool = True

    @property
    def truth(self) -> NDArray[Any]:
        """What `Method.score` compares maps with: the image wanted, or the labels."""
        return self.targets if self.kind == "image" else self.labels

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of the spatial axes."""
        return (self.image if len(self.image) else self.targets).shape[1:]


class _Opened:
    """A field whose value may be a function that gives it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, sample: object, owner: type | None = None) -> Any:
        value = sample.__dict__[self.name]
        return value() if callable(value) else value

    def __set__(self, sample: object, value: Any) -> None:
        sample.__dict__[self.name] = value


for _name in ("image", "targets", "labels", "centres", "points", "cost"):
    setattr(Sample, _name, _Opened(_name))
