"""`Prediction`: what a model found in one image, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from delineate.image import Image
from delineate.inference.posterior import Posterior, mean_features

if TYPE_CHECKING:
    from delineate.labels import Table
    from delineate.uncertainty import ImageScores, Spread


@dataclass(frozen=True, eq=False)
class Prediction:
    """Result for one image.

    Parameters
    ----------
    labels : uint32 label image with the axes `axes`, ids 1…N.
    axes : axes of `labels`: those of the image without C.
    objects : one row an object: its id, what the method says of it, its uncertainty.
    image : what was predicted.
    diameter : diameter in pixels that the image was scaled by; None: it was not scaled.
    predictive : float32 image (`axes`) of the predictive uncertainty, 0…0.25: the variance of the
        class probabilities, mean over classes.
    scores : uncertainty of the whole image.
    classes : uint8 image of classes (`axes`) where the method gives one.
    spread : all maps of uncertainty (`axes`), where they were asked for.
    posterior : mean maps and their spread at the image's resolution, where they were asked for.
    features : of each member, see `Posterior`.
    novelty : how far the features are from those of the training images, 1 being usual for unseen
        images like these; NaN where the model does not know.
    """

    labels: NDArray[np.uint32]
    axes: str
    objects: Table
    image: Image
    diameter: float | None
    predictive: NDArray[np.float32]
    scores: ImageScores
    classes: NDArray[np.uint8] | None = None
    spread: Spread | None = None
    posterior: Posterior | None = None
    features: tuple[NDArray[np.float32], ...] = ()
    novelty: float = np.nan

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """What was found: all classes but background, else all objects."""
        found: NDArray[np.bool_] = (self.labels if self.classes is None else self.classes) > 0
        return found

    def measure(self) -> Table:
        """One row an object: time point (where there are any), measurements, method's columns.

        Lengths are in pixels and, where the image knows its pixel size, in its unit too;
        intensities are of each channel.
        """
        from delineate.labels import measure

        image = self.image
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
        """Write the labels, as TIFF or OME-Zarr by the ending of the path (``.tif`` is added).

        Raises
        ------
        WriteError : the file cannot be written.
        """
        from delineate.io import write_labels

        path = Path(path)
        if not path.suffix:
            path = path.with_suffix(".tif")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_labels(path, self.labels, self.image, self.axes)
        return path


def over_time(points: Sequence[Prediction], image: Image) -> Prediction:
    """Time points as one result, whose ids are unique over all of them."""
    from delineate.uncertainty import Spread

    if "T" not in image.axes:
        return points[0]
    total, labels, ids = 0, [], []
    for point in points:
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
    first = points[0]
    spread = posterior = None
    if first.spread is not None:
        kept = [p.spread for p in points if p.spread is not None]
        spread = Spread(*(np.stack(field) for field in zip(*map(_fields, kept), strict=True)))
    if first.posterior is not None:
        draws = [p.posterior for p in points if p.posterior is not None]
        wide = [d.spread for d in draws if d.spread is not None]
        posterior = Posterior(
            np.stack([d.maps for d in draws], axis=1),
            np.stack(wide, axis=1) if wide else None,
            first.posterior.draws,
            by_plane=first.posterior.by_plane,
        )
    sizes = [p.diameter for p in points if p.diameter is not None]
    classes = [p.classes for p in points if p.classes is not None]
    return Prediction(
        np.stack(labels),
        "".join(a for a in image.axes if a != "C"),
        table,
        image,
        float(np.median(sizes)) if sizes else None,
        np.stack([p.predictive for p in points]),
        _pooled(points),
        np.stack(classes) if classes else None,
        spread,
        posterior,
        mean_features([p.features for p in points]),
    )


def _fields(spread: Spread) -> tuple[NDArray[np.float32], ...]:
    return spread.aleatoric, spread.epistemic, spread.entropy, spread.mutual_information


def _pooled(points: Sequence[Prediction]) -> ImageScores:
    """Scores of a movie: over all its foreground, and over all its pixels."""
    from delineate.uncertainty import ImageScores

    pixels = np.array([np.count_nonzero(p.foreground) for p in points], float)
    values = np.array([p.scores for p in points], float)
    seen = pixels > 0
    mean = np.full(values.shape[1], np.nan)
    if seen.any():
        mean = np.average(values[seen], axis=0, weights=pixels[seen])
    named = ImageScores(*mean.tolist())
    whole = float(np.mean([p.scores.image_uncertainty for p in points]))
    return named._replace(image_uncertainty=whole)
