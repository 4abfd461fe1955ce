"""What the image-to-image benchmarks share: cells of Markdown tables, pictures, models of runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from delineate.image import Image
from delineate.io import read
from delineate.metrics import Interval, bootstrap_interval
from delineate.model import Model, load


def cell(interval: Interval, digits: int = 3) -> str:
    """A value with its 95 % interval, for a table."""
    value, low, high = (f"{v:.{digits}f}" for v in interval[:3])
    return f"{value} [{low}, {high}]"


def mean(values: ArrayLike, digits: int = 3) -> str:
    """The mean over images with its bootstrap interval; paired differences are given as values."""
    return cell(bootstrap_interval(np.asarray(values), np.random.default_rng(0)), digits)


def header(*names: str) -> None:
    """Head of a Markdown table."""
    row(*names)
    print("|" + "---|" * len(names), flush=True)


def row(*cells: object) -> None:
    """Row of a Markdown table."""
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def model_of(run: Path | str) -> Model:
    """The model of a run folder, else that of this folder or name."""
    inner = Path(run) / "model"
    return load(inner if inner.is_dir() else run)


def result(model: Model, image: Image | Path) -> np.ndarray:
    """Image that a model makes, (C, spatial axes), float32."""
    found = model.predict(image).result
    assert found is not None, f"{model.name} segments images, expected a model that makes some"
    return found.channel_first()


def file(folder: Path, name: str) -> Path:
    """The file of this stem."""
    return next(folder.glob(f"{name}.*"))


def grey(path: Path) -> np.ndarray:
    """Pixels (Y, X) of a file, those of a picture of equal colours too, in the type of the file."""
    image = read(path)
    return image.numpy() if image.axes == "YX" else image.channel_first()[0]


def stretched(pixels: np.ndarray, like: np.ndarray | None = None) -> np.ndarray:
    """Grey values 0 … 1 to look at: percentiles 1 and 99.7, of another image if given."""
    low, high = np.percentile(pixels if like is None else like, [1, 99.7])
    return np.clip((pixels - low) / max(high - low, 1e-9), 0, 1)


def picture(path: Path, rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> None:
    """Write images (Y, X) or (Y, X, 3) of 0 … 1 as a grid, with titles above the columns."""
    import matplotlib.pyplot as plt

    height, width = rows[0][0].shape[:2]
    figure, axes = plt.subplots(
        len(rows),
        len(titles),
        figsize=(2.2 * len(titles), 2.2 * len(rows) * height / width + 0.25),
        squeeze=False,
        layout="constrained",
    )
    for line, images in zip(axes, rows, strict=True):
        for place, image in zip(line, images, strict=True):
            place.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for place in axes.flat:
        place.set_axis_off()
    for place, title in zip(axes[0], titles, strict=True):
        place.set_title(title, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, pil_kwargs={"optimize": True})
    plt.close(figure)
    print(f"picture: {path}")
