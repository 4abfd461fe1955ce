"""Foreground of fluorescence nuclei learned from masks that were drawn on other images.

python benchmarks/unsupervised.py prepare DATA/nuclei OUT
python benchmarks/unsupervised.py score OUT RUN --pictures DIR

DATA/nuclei holds images/, labels/ and splits.csv (columns image, split, kind). `prepare` draws half
of the fluorescence images that train (seed 0) into OUT/images, and writes the masks (0, 255) of the
*other* half into OUT/masks: no mask belongs to an image. OUT/val/ has images and masks of the
validation split, which only score. `--side N` leaves out images with a side above N pixels.

    delineate train unsupervised --data.images OUT/images --data.labels OUT/masks -o RUN

Dice of the foreground on the validation images: of Otsu's threshold, of RUN/model, and of the
bundled model `nuclei`, which was trained on annotated images of the same set. For synthesis, 24
validation masks are turned into images by RUN/model/back, and `nuclei` is asked for them again.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from skimage.filters import threshold_otsu
from skimage.io import imsave

from delineate.image import Image
from delineate.io import read, read_labels
from delineate.metrics import dice
from delineate.model import Model, load
from showing import file, header, mean, model_of, picture, result, row, stretched

SEED = 0
SHOWN = 6
"""Lines of the pictures."""
SYNTHESISED = 24
"""Validation masks that are turned into images."""


def grey(path: Path) -> np.ndarray:
    """First channel: colours of these images are equal."""
    return read(path).channel_first()[0]


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    imsave(path, pixels, check_contrast=False)


def mask(data: Path, name: str) -> np.ndarray:
    return np.where(read_labels(data / "labels" / f"{name}.png") > 0, 255, 0).astype(np.uint8)


def prepare(data: Path, out: Path, side: int | None) -> None:
    with (data / "splits.csv").open() as table:
        rows = [r for r in csv.DictReader(table) if r["kind"] == "fluorescence"]
    rows = [r for r in rows if side is None or max(int(r["height"]), int(r["width"])) <= side]
    names = np.random.default_rng(SEED).permutation(
        [r["image"] for r in rows if r["split"] == "train"]
    )
    half = len(names) // 2
    for name in names[:half]:
        save(out / "images" / f"{name}.png", grey(data / "images" / f"{name}.png"))
    for name in names[half:]:
        save(out / "masks" / f"{name}.png", mask(data, name))
    val = [r["image"] for r in rows if r["split"] == "val"]
    for name in val:
        save(out / "val" / "images" / f"{name}.png", grey(data / "images" / f"{name}.png"))
        save(out / "val" / "masks" / f"{name}.png", mask(data, name))
    print(f"{half} images, {len(names) - half} masks of others, {len(val)} pairs that only score")


def otsu(image: np.ndarray) -> np.ndarray:
    return image > threshold_otsu(image)


def segmented(model: Model, image: np.ndarray) -> np.ndarray:
    """Foreground that a model of classes or of objects finds."""
    return model.predict(image).foreground


def spread_out(names: Sequence[str], n: int) -> list[str]:
    return [names[i] for i in np.linspace(0, len(names) - 1, min(n, len(names))).astype(int)]


def square(image: np.ndarray, n: int = 256) -> np.ndarray:
    """The first n pixels of each side; all these images have as many."""
    return image[:n, :n]


def score(out: Path, run: Path | None, pictures: Path | None) -> None:
    folder = out / "val"
    images = {p.stem: grey(p) for p in sorted((folder / "images").glob("*.png"))}
    masks = {name: read_labels(file(folder / "masks", name)) > 0 for name in images}
    supervised = load("nuclei")
    found = {"Otsu": {k: otsu(i) for k, i in images.items()}}
    if run:
        model = model_of(run)
        there = replace(model, back=None)  # no cycle error: it would take as long again
        found[f"{run.name}, no annotated image"] = {
            k: segmented(there, i) for k, i in images.items()
        }
    found["nuclei, supervised"] = {k: segmented(supervised, i) for k, i in images.items()}
    scores = {n: np.array([dice(masks[k], own[k]) for k in images]) for n, own in found.items()}
    header("foreground of validation images", "n", "Dice", "median", "difference to Otsu")
    for name, own in scores.items():
        row(name, len(own), mean(own), f"{np.median(own):.3f}", mean(own - scores["Otsu"]))
    chosen = spread_out(list(images), SHOWN)
    if pictures:
        lines = [
            [
                square(stretched(images[k])),
                square(masks[k]).astype(float),
                *(square(own[k]).astype(float) for own in found.values()),
            ]
            for k in chosen
        ]
        picture(pictures / "unsupervised.png", lines, ["image", "truth", *found])
    if run and model.back is not None:
        known = dict(zip(images, scores["nuclei, supervised"], strict=True))
        synthesis(model.back, supervised, known, images, masks, pictures)


def synthesis(
    back: Model,
    supervised: Model,
    known: dict[str, float],
    images: dict[str, np.ndarray],
    masks: dict[str, np.ndarray],
    pictures: Path | None,
) -> None:
    """Images made from masks: does a model that has seen real ones find the masks in them?"""
    names = spread_out(list(masks), SYNTHESISED)
    made = {k: result(back, Image(masks[k].astype(np.uint8), "YX"))[0] for k in names}
    print()
    header("mask found again by `nuclei`", "n", "Dice")
    again = np.array([dice(masks[k], segmented(supervised, i)) for k, i in made.items()])
    for name, own in (("in made images", again), ("in the real images", [known[k] for k in names])):
        row(name, len(own), mean(own))
    if pictures:
        lines = [
            [
                square(masks[k]).astype(float),
                square(stretched(made[k])),
                square(stretched(images[k])),
            ]
            for k in spread_out(names, SHOWN)
        ]
        picture(pictures / "synthesis.png", lines, ["mask", "made", "real image of this mask"])


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("prepare")
    one.add_argument("data", type=Path)
    one.add_argument("out", type=Path)
    one.add_argument("--side", type=int, help="largest side of an image")
    two = commands.add_parser("score")
    two.add_argument("out", type=Path)
    two.add_argument("run", type=Path, nargs="?")
    two.add_argument("--pictures", type=Path, help="folder for the pictures")
    args = parser.parse_args()
    if args.command == "prepare":
        prepare(args.data, args.out, args.side)
    else:
        score(args.out, args.run, args.pictures)


if __name__ == "__main__":
    main()
