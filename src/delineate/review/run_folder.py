"""What `delineate predict` left in a run folder, read back as typed values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from math import isfinite, nan
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ReadError
from delineate.review.run_images import (
    ImageEvaluation,
    Made,
    Score,
    read_evaluation,
    read_made,
    score_that_counts,
    truth_of,
)
from delineate.review.run_tables import ObjectSizes, csv_rows, finite, read_object_sizes
from delineate.review.run_trust import ImageTrust, RunTrust, image_trust, read_trust

_SCHEMA = 1


@dataclass(frozen=True, eq=False)
class ImageResult:
    """One image of a run. Numbers that the run did not give are NaN, counts then -1.

    `diameters` holds the equivalent diameter of every object in pixels; `pixel_size` is how many
    units a pixel is wide (NaN where unknown); `picture` is the file with outlines over the image,
    or with its result beside it, `heat` that with its uncertainty. Of images that a model made,
    `made` says more, `scores` has those against true images, and `cycle` is the picture of what the
    way back misses.
    """

    name: str
    status: str
    error: str
    objects: int
    median_diameter: float
    foreground: float
    diameter_used: float
    seconds: float
    pixel_size: float
    diameters: NDArray[np.float32]
    picture: Path | None
    heat: Path | None
    trust: ImageTrust = field(default_factory=ImageTrust)
    sha256: str = ""
    made: Made = field(default_factory=Made)
    scores: Mapping[str, float] = field(default_factory=dict)
    cycle: Path | None = None

    @property
    def done(self) -> bool:
        """Whether the image has a result."""
        return self.status == "done"


@dataclass(frozen=True, eq=False)
class Run:
    """A run folder: what was run, with what, on which images, in the order of images.csv.

    `scores` are those of images against true ones, for the whole run.
    """

    folder: Path
    version: str
    command: tuple[str, ...]
    started: datetime | None
    seconds: float
    model: str
    model_sha256: str
    recipe: Mapping[str, Any]
    settings: Mapping[str, Any]
    images: tuple[ImageResult, ...]
    unit: str = "µm"
    trust: RunTrust = field(default_factory=RunTrust)
    scores: tuple[Score, ...] = ()

    @property
    def method(self) -> str:
        """Name of the method in the recipe, whether it stands there alone or in a group."""
        method = self.recipe.get("method")
        if isinstance(method, dict):
            method = method.get("name") or method.get("kind")
        return str(method or "")

    @cached_property
    def done(self) -> tuple[ImageResult, ...]:
        """Images with a result."""
        return tuple(image for image in self.images if image.done)

    @cached_property
    def failed(self) -> tuple[ImageResult, ...]:
        """Images without a result."""
        return tuple(image for image in self.images if not image.done)

    @cached_property
    def ranked(self) -> tuple[ImageResult, ...]:
        """Images with an uncertainty, the most uncertain first."""
        known = [image for image in self.done if isfinite(image.trust.uncertainty)]
        return tuple(sorted(known, key=lambda image: -image.trust.uncertainty))

    @property
    def knows_trust(self) -> bool:
        """Whether there is anything to say of how far the results can be trusted."""
        return bool(self.ranked) or self.trust.quality is not None or self.trust.truth is not None

    @property
    def objects(self) -> int:
        """Number of objects in all images."""
        return sum(max(0, image.objects) for image in self.images)

    @cached_property
    def diameters(self) -> NDArray[np.float32]:
        """Equivalent diameters of all objects in pixels."""
        return np.concatenate([np.empty(0, np.float32), *(i.diameters for i in self.done)])

    @property
    def physical(self) -> bool:
        """Whether the pixel size of every image with objects is known."""
        known = [isfinite(image.pixel_size) for image in self.done if image.diameters.size]
        return bool(known) and all(known)

    @cached_property
    def physical_diameters(self) -> NDArray[np.float32]:
        """Equivalent diameters of all objects in `unit`."""
        each = [i.diameters * np.float32(i.pixel_size) for i in self.done if i.diameters.size]
        return np.concatenate([np.empty(0, np.float32), *each])


def read_run(folder: Path) -> Run:
    """Read run.json, images.csv and objects.csv of a run folder.

    images.csv and objects.csv may be missing (nothing was segmented). Images come in the order of
    images.csv, then those that only run.json names.

    Raises
    ------
    ReadError : run.json is missing or not a record of a run, or a table is not readable.
    """
    folder = Path(folder)
    record = _read_record(folder / "run.json")
    inputs = [i for i in _list(record.get("inputs")) if isinstance(i, dict)]
    by_name = {str(entry.get("name", "")): entry for entry in inputs}
    for entry in inputs:
        for name in _names(str(entry.get("name", ""))):
            by_name.setdefault(name, entry)
    rows = {row.get("image", ""): row for row in csv_rows(folder / "images.csv")}
    sizes = read_object_sizes(folder / "objects.csv")
    taken: set[int] = set()
    images = []
    for name, row in rows.items():
        entry = next((by_name[n] for n in _names(name) if n in by_name), {})
        taken.add(id(entry))
        images.append(_image(folder, name, row, entry, sizes))
    rest = (entry for entry in inputs if id(entry) not in taken)
    images.extend(_image(folder, str(entry.get("name", "")), {}, entry, sizes) for entry in rest)
    model = _mapping(record.get("model"))
    trust = read_trust(folder, record)
    done = [image.name for image in images if image.done]
    evaluation = read_evaluation(folder, done)
    if evaluation.images and trust.truth is None:
        images = _scored(images, evaluation, score_that_counts(trust.quality))
        seed = record.get("seed")
        known = {image.name: image.trust for image in images if image.done}
        truth = truth_of(known, trust.quality, seed if isinstance(seed, int) else 0)
        trust = replace(trust, truth=truth)
    return Run(
        folder=folder,
        version=str(record.get("delineate") or ""),
        command=tuple(str(part) for part in _list(record.get("command"))),
        started=_moment(record.get("started")),
        seconds=finite(record.get("seconds")),
        model=str(model.get("name") or ""),
        model_sha256=str(model.get("sha256") or ""),
        recipe=_mapping(record.get("recipe")),
        settings=_mapping(record.get("settings")),
        images=tuple(images),
        unit=sizes.unit,
        trust=trust,
        scores=evaluation.summary,
    )


def _scored(
    images: Sequence[ImageResult], evaluation: ImageEvaluation, counts: str
) -> list[ImageResult]:
    """Images with their scores against true ones; one of these is the score that counts."""
    scored = []
    for image in images:
        scores = evaluation.images.get(image.name, {})
        trust = replace(image.trust, score=scores.get(counts, nan))
        scored.append(replace(image, scores=scores, trust=trust))
    return scored


def _image(
    folder: Path, name: str, row: Mapping[str, str], entry: Mapping[str, Any], sizes: ObjectSizes
) -> ImageResult:
    """Put together what images.csv, run.json and objects.csv say about one image."""
    stems = _names(name) if name == entry.get("name") else [name]  # as outputs may be named
    diameters = sizes.diameters.get(name, np.empty(0, np.float32))
    counted = finite(row.get("objects"))
    status = str(row.get("status") or entry.get("status") or "done")
    return ImageResult(
        name=name,
        status=status,
        error=str(entry.get("error") or row.get("error") or ""),
        objects=int(counted) if isfinite(counted) else -1,
        median_diameter=finite(row.get("median_diameter")),
        foreground=finite(row.get("foreground")),
        diameter_used=finite(row.get("diameter_used")),
        seconds=finite(row.get("seconds") or entry.get("seconds")),
        pixel_size=sizes.pixel_size.get(name, nan),
        diameters=diameters[np.isfinite(diameters)],
        picture=_picture(folder / "overlays", stems),
        heat=_picture(folder / "uncertainty", stems),
        trust=image_trust(row),
        sha256=str(entry.get("sha256") or ""),
        made=read_made(row),
        cycle=_picture(folder / "cycle", stems),
    )


def _picture(folder: Path, names: Iterable[str]) -> Path | None:
    """The picture of an image in a room of the run, under the first of its names that has one."""
    for name in names:
        parts = PurePosixPath(name).parts
        if not parts or ".." in parts or PurePosixPath(name).is_absolute():
            continue
        path = folder / f"{name}.jpg"
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # a name that this file system cannot have
            continue
    return None


def _names(name: str) -> list[str]:
    """Names that an input goes by: as it is, and without its suffixes."""
    path = PurePosixPath(name)
    short = str(path.with_suffix("")) if path.suffix and path.stem else name
    return list(dict.fromkeys((name, short, short.removesuffix(".ome"))))


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ReadError(
            f"{path.parent}: no run.json in it; give the folder that `delineate predict -o` wrote"
        ) from error
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: not a readable record of a run ({error})") from error
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema != _SCHEMA:
        raise ReadError(
            f"{path}: schema {schema!r} found, {_SCHEMA} expected; "
            "use the version of delineate that wrote it"
        )
    return dict(record)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None
