"""`Prediction`: what a model found in one image, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from delineate.image import Image
from delineate.inference.posterior import Posterior, mean_features

if TYPE_CHECKING:
    from delineate.labels import Table
    from delineate.uncertainty import ImageScores, Spread

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Result for one image.

    Parameters
    ----------
    labels : uint32 label image with the axes `axes`, ids 1…N; None where the model gives an image.
    axes : axes of `labels` and of maps of uncertainty: those of the image without C.
    objects : one row an object: its id, what the method says of it, its uncertainty.
    image : what was predicted.
    diameter : diameter in pixels that the image was scaled by; None: it was not scaled.
    predictive : float32 image (`axes`) of the predictive uncertainty: the variance of the class
        probabilities, mean over classes, 0…0.25; of an image method that of the normalised
        intensity, mean over channels. None where nothing is known of it, as of a single draw of an
        image method that expects no noise.
    scores : uncertainty of the whole image.
    classes : uint8 image of classes (`axes`) where the method gives one.
    spread : all maps of uncertainty (`axes`), where they were asked for.
    posterior : mean maps and their spread at the image's resolution, where they were asked for.
    features : of each member, see `Posterior`.
    novelty : how far the features are from those of the training images, 1 being usual for unseen
        images like these; NaN where the model does not know.
    result : the image that an image method gives, C among its axes, in the units of its targets.
    channel_spread : uncertainty of each channel of `result`, in its units squared, if asked for.
    doubtful : bool image (`axes`), where `result` is not to be measured; None: it is not known.
    cycle : float32 image (`axes`), how far the way back misses the image, in the units of its
        normalised intensity; None where the model has no way back.
    seen : channels of `image` that the network saw; None: all.
    """

    labels: NDArray[np.uint32] | None
    axes: str
    objects: Table
    image: Image
    diameter: float | None
    predictive: NDArray[np.float32] | None
    scores: ImageScores
    classes: NDArray[np.uint8] | None = None
    spread: Spread | None = None
    posterior: Posterior | None = None
    features: tuple[NDArray[np.float32], ...] = ()
    novelty: float = np.nan
    result: Image | None = None
    channel_spread: tuple[Spread, ...] = ()
    doubtful: NDArray[np.bool_] | None = None
    cycle: NDArray[np.float32] | None = None
    seen: tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        """Number of objects."""
        return 0 if self.labels is None else int(self.labels.max(initial=0))

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """What was found: all classes but background, else all objects; of an image, all of it."""
        if self.labels is None:
            return np.ones(tuple(self.image.sizes[a] for a in self.axes), bool)
        found: NDArray[np.bool_] = (self.labels if self.classes is None else self.classes) > 0
        return found

    def measure(self) -> Table:
        """One row an object: time point (where there are any), measurements, method's columns.

        Lengths are in pixels and, where the image knows its pixel size, in its unit too;
        intensities are of each channel. Empty where the model gives an image.
        """
        from delineate.labels import measure

        image = self.image
        if self.labels is None:
            return {}
        if "T" not in image.axes:
            table = measure(self.labels, image)
        else:
            parts: list[Table] = []
            for t in range(image.sizes["T"]):
                part = measure(self.labels[t], image.select(T=t))
                n = len(part["label"])
                parts.append({"label": part["label"], "t": np.full(n, t), **part})
            table = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
        for name, values in self.objects.items():
            if name != "label":
                table[name] = values
        return table

    def save(self, path: str | Path) -> Path:
        """Write the labels or the image, as TIFF or OME-Zarr by the ending (``.tif`` is added).

        Raises
        ------
        WriteError : the file cannot be written.
        """
        from delineate.io import write_image, write_labels

        path = Path(path)
        if not path.suffix:
            path = path.with_suffix(".tif")
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.labels is not None:
            write_labels(path, self.labels, self.image, self.axes)
        elif self.result is not None:
            write_image(path, self.result)
        return path


def over_time(points: Sequence[Prediction], image: Image) -> Prediction:
    """Time points as one result, whose ids are unique over all of them."""
    if "T" not in image.axes:
        return points[0]
    first = points[0]
    labels, table = _joined_objects(points) if first.labels is not None else (None, {})
    sizes = [p.diameter for p in points if p.diameter is not None]
    spreads = [p.spread for p in points if p.spread is not None]
    return Prediction(
        labels,
        "T" + first.axes,
        table,
        image,
        float(np.median(sizes)) if sizes else None,
        _stack([p.predictive for p in points]),
        _pooled(points),
        _stack([p.classes for p in points]),
        first.spread.stacked(spreads) if first.spread is not None else None,
        _posterior_over_time(points),
        mean_features([p.features for p in points]),
        result=_result_over_time(points, image),
        channel_spread=tuple(
            own[0].stacked(own) for own in zip(*(p.channel_spread for p in points), strict=True)
        ),
        doubtful=_stack([p.doubtful for p in points]),
        cycle=_stack([p.cycle for p in points]),
        seen=first.seen,
    )


def _stack(images: Sequence[NDArray[T] | None]) -> NDArray[T] | None:
    """Images of all time points as one; None where they have none."""
    known = [image for image in images if image is not None]
    return np.stack(known) if known else None


def _joined_objects(points: Sequence[Prediction]) -> tuple[NDArray[np.uint32], Table]:
    """Labels whose ids go on from one time point to the next, and their table."""
    total, labels, ids = 0, [], []
    for point in points:
        assert point.labels is not None
        n = len(point.objects["label"])
        labels.append(
            np.where(point.labels > 0, point.labels + np.uint32(total), np.uint32(0))
            if total
            else point.labels
        )
        ids.append(np.arange(total + 1, total + n + 1))
        total += n
    table: Table = {
        name: np.concatenate([p.objects[name] for p in points]) for name in points[0].objects
    }
    table["label"] = np.concatenate(ids)
    return np.stack(labels), table


def _posterior_over_time(points: Sequence[Prediction]) -> Posterior | None:
    draws = [p.posterior for p in points if p.posterior is not None]
    if not draws:
        return None
    wide = [d.spread for d in draws if d.spread is not None]
    return Posterior(
        np.stack([d.maps for d in draws], axis=1),
        np.stack(wide, axis=1) if wide else None,
        draws[0].draws,
        by_plane=draws[0].by_plane,
    )


def _result_over_time(points: Sequence[Prediction], image: Image) -> Image | None:
    """Results of all time points as a movie, at the intervals of that which they are made of."""
    results = [p.result for p in points if p.result is not None]
    if not results:
        return None
    return replace(
        results[0],
        data=np.stack([np.asarray(r.data) for r in results]),
        axes="T" + results[0].axes,
        frame_interval=image.frame_interval,
    )


def _pooled(points: Sequence[Prediction]) -> ImageScores:
    """Scores of a movie: over all its foreground, and over all its pixels."""
    from delineate.uncertainty import ImageScores

    pixels = np.array([np.count_nonzero(p.foreground) for p in points], float)
    values = np.array([p.scores for p in points], float)
    seen = np.isfinite(values[:, 0])
    mean = np.full(values.shape[1], np.nan)
    if seen.any():
        mean = np.average(values[seen], axis=0, weights=pixels[seen])
    named = ImageScores(*mean.tolist())
    whole = float(np.mean([p.scores.image_uncertainty for p in points]))
    return named._replace(image_uncertainty=whole)
