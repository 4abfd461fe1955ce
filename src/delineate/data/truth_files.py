"""Reading the files of what is known of an image: labels, classes, soft labels, targets, costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.data.channels import Selection, select_axes
from delineate.data.pairs import Pair
from delineate.errors import AxesError, DataError, DelineateError, LabelError
from delineate.image import Image

Shape = tuple[int, ...]

_ROLES = {
    "labels": ("labels", ("TZYX", "ZYX")),
    "classes": ("classes", ("TZYX", "ZYX")),
    "soft": ("soft labels", ("TZYX", "ZYX", "CZYX")),
    "target": ("target", ("TCZYX", "TZYX", "ZYX", "CZYX", "CYX")),
    "cost": ("costs", ("TZYX", "ZYX")),
}
"""What the files of a pair hold, and the axes that such files may have, to choose from."""

_LABELS = ("labels", "classes")
"""What of these are label images."""


def read_ids(path: Path, axes: str | None, time: int | None, part: Selection) -> NDArray[Any]:
    """A label image (spatial axes): a time point and planes of it, where it has such axes.

    Parameters
    ----------
    axes : of the images; what of it can be the axes of labels serves files that do not say theirs.
    time : time point; None: there is none to choose.
    part : planes that are used.

    Raises
    ------
    AxesError, LabelError, ReadError : as for `read_label_image`.
    DataError : a time point is to be chosen, and the file has no time axis.
    """
    return _selected(_labels(path, axes, time), time, part).numpy()


class Objects(NamedTuple):
    """Ids of objects (spatial axes), and whether they are the several parts of a mask."""

    ids: NDArray[Any]
    masked: bool


def read_objects(path: Path, axes: str | None, time: int | None, part: Selection) -> Objects:
    """As `read_ids`, with the connected parts of a mask for its objects (`true_objects`).

    Raises
    ------
    AxesError, DataError, LabelError, ReadError : as for `read_ids` and `true_objects`.
    LabelError : pixels are undecided, which cannot be left out where objects are learned.
    """
    from delineate.consensus.true_objects import RECORD, true_objects

    found = _labels(path, axes, time)
    meant = true_objects(found.numpy(), path)
    pixels = _selected(found, time, part).numpy()
    if (undecided := np.count_nonzero(meant.left_out(pixels))) > 0:
        raise LabelError(
            f"{path}: {undecided:,} pixels are undecided ({meant.undecided}, says {RECORD}), and "
            "training on objects cannot leave them out: run the consensus without --undecided, or "
            "train classes of pixels, which leaves them out (delineate train semantic … "
            f"--method.ignore {meant.undecided})"
        )
    ids = meant.objects(pixels)
    return Objects(ids, meant.inside is not None and bool((ids > 1).any()))


def _labels(path: Path, axes: str | None, time: int | None) -> Image:
    found = _opened("labels", path, axes)
    if time is not None and "T" not in found.axes:
        raise DataError(f"the image has a time axis, its labels {path} have none")
    return found


def read_soft(
    path: Path,
    axes: str | None,
    time: int | None,
    part: Selection,
    shape: Shape,
) -> NDArray[np.float32]:
    """Probabilities of classes (channels, spatial axes).

    Raises
    ------
    AxesError, ReadError : as for `read`.
    DataError : they have another shape.
    """
    soft = _selected(_opened("soft", path, axes), time, part).channel_first()
    if soft.shape[1:] != shape:
        raise DataError(f"the image has the shape {shape}, its soft labels {path} {soft.shape[1:]}")
    return soft.astype(np.float32)


def read_target(
    path: Path, axes: str | None, time: int | None, select: Selection, ndim: int | None
) -> NDArray[Any]:
    """The image wanted (channels, spatial axes), in the type of its file.

    A file without a time axis serves all time points. Planes become channels where those of the
    image do, and of a file that has Z where the image has none.

    Raises
    ------
    AxesError, ReadError : as for `read`.
    ImageError : pixels are NaN or infinite.
    """
    from delineate.io import check_pixels

    found = _opened("target", path, axes)
    if ndim == 2 and not select.z_channels:
        select = select._replace(z_channels=True)
    pixels = _selected(found, time, select).channel_first()
    check_pixels(pixels, str(path))
    return pixels


def read_cost(
    path: Path,
    axes: str | None,
    time: int | None,
    part: Selection,
    shape: Shape,
) -> NDArray[np.float32]:
    """The weight of each pixel: float32 (spatial axes). A file without time serves all times.

    Raises
    ------
    AxesError, ReadError : as for `read`.
    DataError : several channels, another shape, or negative or infinite weights.
    """
    cost = _selected(_opened("cost", path, axes), time, part).channel_first()
    if len(cost) != 1:
        raise DataError(f"the cost map {path} has {len(cost)} channels, expected one")
    if cost.shape[1:] != shape:
        raise DataError(f"the image has the shape {shape}, its cost map {path} {cost.shape[1:]}")
    weights = cost[0].astype(np.float32)
    if not (np.isfinite(weights).all() and weights.min(initial=0) >= 0):
        raise DataError(f"the cost map {path} has weights that are negative or not finite")
    return weights


def target_names(path: Path, axes: str | None) -> tuple[str, ...]:
    """Names of the channels of the file of an image wanted; none where it has none.

    Raises
    ------
    AxesError, ReadError : as for `read`.
    """
    return _opened("target", path, axes).channels


def at_time(image: Image, time: int | None) -> Image:
    """One time point, where the image has a time axis.

    Raises
    ------
    AxesError : none was chosen.
    DataError : it has no such time point.
    """
    if "T" not in image.axes:
        return image
    if time is None:
        raise AxesError(
            f"{image.source or 'the image'} has a time axis of {image.sizes['T']} points (axes "
            f"{image.axes}), what belongs to it has none"
        )
    count = image.sizes["T"]
    if not 0 <= time < count:
        raise DataError(
            f"{image.source or 'the image'} has {count} time points, 0 to {count - 1}, and what it "
            f"belongs to has a time point {time}"
        )
    return image.select(T=time)


class Used(NamedTuple):
    """What is used of an axis of an image.

    Parameters
    ----------
    axis : T or Z.
    length : how many there are.
    chosen : the time points or planes that are used, from 0.
    """

    axis: str
    length: int
    chosen: tuple[int, ...]

    @property
    def parts(self) -> str:
        """What the axis consists of, in words."""
        return "time points" if self.axis == "T" else "planes"

    @property
    def setting(self) -> str:
        """The setting that chooses among them."""
        return "data.times" if self.axis == "T" else "data.planes"


def check_lengths(pair: Pair, used: Iterable[Used], axes: str | None, flat: bool = False) -> None:
    """Check that what belongs to a movie, or to a stack, is as long as that, or has no such axis.

    Shorter files serve where they go on until the last time point, or plane, that is used. Files
    that cannot be opened are let pass: they are told when they are read.

    Parameters
    ----------
    used : of the axes of the image.
    flat : whether each plane is an image of its own; labels without Z are those of a single one.

    Raises
    ------
    DataError : names the file that is shorter or longer, and both lengths.
    """
    for role, (what, _) in _ROLES.items():
        file = getattr(pair, role)
        if file is None:
            continue
        try:
            found = _opened(role, file, axes)
        except DelineateError:
            continue
        for axis in used:
            own, last = found.sizes.get(axis.axis), max(axis.chosen, default=0)
            whose = f"{pair.image}, whose {what} it holds, has {axis.length}"
            if own is None:
                if axis.axis == "Z" and flat and role in _LABELS and len(axis.chosen) > 1:
                    raise DataError(
                        f"{file}: has one plane, and {whose}, of which {len(axis.chosen)} are used "
                        "as images of their own: choose the plane whose it is with data.planes"
                    )
            elif own <= last:
                raise DataError(
                    f"{file}: has {own} {axis.parts}, and {whose}, of which "
                    f"{axis.parts.split()[-1][:-1]} {last} is used too (they count from 0): "
                    f"complete it, or choose others with {axis.setting}"
                )
            elif own > axis.length:
                raise DataError(
                    f"{file}: has {own} {axis.parts}, and {whose}: which of them belong to it is "
                    "not known; give it the file of the same length"
                )


def _selected(image: Image, time: int | None, select: Selection) -> Image:
    image = at_time(image, time)
    if "Z" not in image.axes:  # the planes are those of the image alone
        select = select._replace(planes=None)
    return select_axes(image, select)


def _opened(role: str, path: Path, axes: str | None) -> Image:
    """A file with its own axes, else with what of the axes of the images fits its role.

    Raises
    ------
    AxesError : as for the file by itself.
    """
    from delineate.io import read, read_label_image

    reader: Callable[..., Image] = read_label_image if role in _LABELS else read
    try:
        return reader(path)
    except AxesError:
        for guess in _guesses(axes, _ROLES[role][1]):
            try:
                return reader(path, axes=guess)
            except AxesError:
                continue
        raise


def _guesses(axes: str | None, letters: Iterable[str]) -> list[str]:
    """Axes to try, none twice; channels come first where the images' axes have none."""
    if not axes:
        return []
    own = axes.upper()
    found = []
    for wanted in letters:
        kept = "".join(a for a in own if a in wanted)
        if wanted.startswith("C") and "C" not in kept:
            kept = "C" + kept
        found.append(kept)
    return list(dict.fromkeys(g for g in found if "Y" in g and "X" in g))
