"""`Preparation`: what turns a pair into a sample, and the name under which the sample is kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path

from delineate.data.channels import Selection
from delineate.data.normalise import Normalise
from delineate.data.pairs import Pair
from delineate.methods.base import Method

FORMAT = 6
"""To be raised when another sample is made of the same files: older ones are not used then."""


@dataclass(frozen=True)
class Preparation:
    """What turns a pair into a sample; all of it is stored with the model.

    Parameters
    ----------
    method : encodes the labels, or the image wanted.
    normalise : of intensities.
    diameter : common diameter in pixels to which the objects are brought; None keeps the scale.
    channels : channels that the network takes.
    select : which channels of the files to use; None uses all.
    ndim : 2 or 3 spatial axes.
    axes : axes of the files, where they do not say.
    normalise_target : of the intensities of the image wanted; None: by the map of the image (of
        unpaired targets, by its rule).
    target_channels : which channels of the files of the image wanted to use; None uses all.
    planes : which planes of Z to use; None uses all.
    z_channels : whether planes become channels.
    needs_truth : whether it is an error that nothing is known of an image.
    """

    method: Method
    normalise: Normalise
    diameter: float | None
    channels: int
    select: tuple[int, ...] | None
    ndim: int
    axes: str | None
    normalise_target: Normalise | None = None
    target_channels: tuple[int, ...] | None = None
    planes: tuple[int, ...] | None = None
    z_channels: bool = False
    needs_truth: bool = True

    def key(self, pair: Pair, usual: float | None = None) -> str:
        """Name of the file that holds the sample of a pair: a hash of all that it depends on.

        Of the method these are the fields that its encoding depends on (`Method.encoding`), of the
        other images the `usual` diameter, where the scale of this one depends on it.
        """
        files = [pair.image, pair.labels, pair.classes, pair.soft, pair.target, pair.cost]
        stamps = [f and _stamp(f) for f in files]
        others = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "method"}
        place = (pair.time, pair.plane, pair.only)
        told = () if usual is None else (usual,)
        text = repr((FORMAT, self.method.encoding, others, stamps, *place, *told))
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def part(self, pair: Pair, channels: tuple[int, ...] | None) -> Selection:
        """Which of the channels given, and of the planes, are used of the files of a pair."""
        planes = self.planes if pair.plane is None else (pair.plane,)
        return Selection(channels, planes, self.z_channels, self.ndim == 2 and not self.z_channels)


def _stamp(path: Path) -> tuple[str, int, int]:
    """Name, time of the last change and size of a file, or of all files of an OME-Zarr."""
    files = [f for f in path.rglob("*") if f.is_file()] if path.is_dir() else [path]
    stats = [f.stat() for f in files]
    changed = max((s.st_mtime_ns for s in stats), default=0)
    return str(path.resolve()), changed, sum(s.st_size for s in stats)
