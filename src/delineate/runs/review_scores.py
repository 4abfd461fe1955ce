"""Scores of a run's images, and of experts, against true labels or classes of the same names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from delineate.consensus.agreement import annotation, compare
from delineate.consensus.masks import looks_like_picture
from delineate.consensus.true_objects import true_objects
from delineate.errors import AxesError, DataError, LabelError, ReadError
from delineate.io import find_images
from delineate.io.reading import read_label_image
from delineate.methods.base import Method
from delineate.methods.segmentation import Classes
from delineate.runs.layout import ROOMS, label_files, label_folder
from delineate.runs.scored import labels_by_image

Pixels = NDArray[Any]


class Scores(NamedTuple):
    """Scores of one annotation of an image against the truth, each in [0, 1]."""

    dice: float
    ap50: float
    map: float


class Labelled(NamedTuple):
    """What a file of labels or classes holds: all its pixels, and those of each time."""

    path: Path
    pixels: Pixels
    frames: list[Pixels]


@dataclass(frozen=True)
class Scorer:
    """Reads files as the method of a run understands them, and scores them.

    Objects are scored by mean AP, AP50 and the Dice of the foreground; those of a mask are its
    connected parts, and undecided pixels of either are background in both (`true_objects`). Classes
    are scored as training scores them (`Classes.compare`): small parts are no objects, and pixels
    to be ignored are background in both. Of a movie the mean over its times is taken.

    Parameters
    ----------
    method : of the model.
    axes : of files that do not say.
    plane : of stacks, the one that the run is of; None: all.
    """

    method: Method
    axes: str | None = None
    plane: int | None = None

    def read(self, path: Path) -> Labelled:
        """Read a file.

        Raises
        ------
        LabelError : it holds a picture.
        ReadError, AxesError : as for `read_label_image`.
        """
        axes = "".join(a for a in (self.axes or "").upper() if a != "C")
        try:
            image = read_label_image(path)
        except AxesError:
            if not axes:
                raise
            image = read_label_image(path, axes)
        pixels = image.numpy()
        depth = image.sizes.get("Z", 0)
        if self.plane is not None and -depth <= self.plane < depth:
            image = image.select(Z=self.plane)
        times = [image]
        if "T" in image.axes:
            times = [image.select(T=t) for t in range(image.sizes["T"])]
        frames = [time.numpy() for time in times]
        if looks_like_picture(frames[0], int(np.unique(frames[0]).size)):
            raise LabelError(
                f"{path}: looks like an image, not like labels (grey values change from pixel to "
                "pixel); is it the folder of the images? Give that of the labels"
            )
        return Labelled(path, pixels, frames)

    def score(self, truth: Labelled, found: Labelled, *, predicted: bool = False) -> Scores:
        """Score what was found in an image.

        Parameters
        ----------
        truth, found : of one image.
        predicted : `found` is of the run: its ids are objects whatever they look like.

        Raises
        ------
        LabelError : shapes differ, classes are none of the method, or numbers are no objects.
        """
        shapes = [[frame.shape for frame in each.frames] for each in (truth, found)]
        if shapes[0] != shapes[1]:
            sizes = [f"{len(s)} times " * (len(s) > 1) + " × ".join(map(str, s[0])) for s in shapes]
            raise LabelError(
                f"{found.path}: has the shape {sizes[1]}, the truth {truth.path} {sizes[0]}; they "
                "must be of the same image"
            )
        each = []
        if isinstance(self.method, Classes):
            for true, own in zip(truth.frames, found.frames, strict=True):
                expected = _classes(self.method, true, truth.path)
                given = _classes(self.method, own, found.path)
                # What an expert left undecided counts neither for nor against.
                scores = self.method.compare(given, np.where(given < 0, -1, expected))
                each.append(Scores(scores["dice"], scores["ap50"], scores["map"]))
        else:
            meant = true_objects(truth.pixels, truth.path)
            other = None if predicted else true_objects(found.pixels, found.path)
            for true, own in zip(truth.frames, found.frames, strict=True):
                pair = meant.beside(true, own, other)
                result = compare(*(annotation(objects, objects=True) for objects in pair))
                each.append(Scores(result.dice, result.ap50, result.map))
        return Scores(*np.mean(each, axis=0).tolist())


def _classes(method: Classes, pixels: Pixels, path: Path) -> NDArray[np.int32]:
    try:
        return method.class_image(pixels)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from error


def predicted_files(folder: Path, method: Method) -> dict[str, Path]:
    """What a run predicted, by image: images of classes, or labels.

    Raises
    ------
    ReadError : files of the run are missing.
    """
    labels = {file.name: file.path for file in label_files(folder)}
    if not isinstance(method, Classes):
        return labels
    found = {}
    for name in labels:
        paths = [folder / "classes" / f"{name}{suffix}" for suffix in ROOMS["classes"]]
        path = next((p for p in paths if p.exists()), None)
        if path is None:
            raise ReadError(f"{paths[0]}: is missing; run the same predict command again")
        found[name] = path
    return found


def true_files(truth: Path, names: Sequence[str]) -> dict[str, Path]:
    """Files of the truth by the names of the images of a run; images may lack theirs.

    Parameters
    ----------
    truth : folder of label files or class images, or of a data set or consensus with ``labels/``;
        or one file for a run of one image.

    Raises
    ------
    DataError : no name is one of the run's, or two files have the same.
    ReadError : nothing is found.
    """
    if truth.is_file() and len(names) == 1:
        return {names[0]: truth}
    folder = label_folder(truth)
    files = labels_by_image(folder, find_images(folder))
    found = {name: files[name] for name in names if name in files}
    if not found:
        raise DataError(
            f"{folder}: has no labels of the run's images; it has for instance "
            f"{next(iter(files))}, the run {names[0] if names else 'no image'}. Names must be "
            "equal but for their ending"
        )
    return found
