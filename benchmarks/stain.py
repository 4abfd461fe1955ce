"""Macenko's stain normalisation on H&E images: colours, and what it does for segmentation.

python benchmarks/stain.py DATA/nuclei --table histology.csv
python benchmarks/stain.py DATA/nuclei --pictures DIR
python benchmarks/stain.py DATA/nuclei --runs RAW NORMALISED

DATA/nuclei holds images/, labels/ and splits.csv (columns image, split, kind). The first line
writes which images are H&E, for the two trainings that the last one compares:

    delineate train objects --data.images DATA/nuclei/images --data.labels DATA/nuclei/labels \\
        --data.table histology.csv --data.diameter 20 --train.steps 400 -o RAW
    the same with --normalise.kind macenko -o NORMALISED

Colours: how far the images differ in mean optical density and in their stain vectors, before and
after. Segmentation: AP = TP / (TP + FP + FN) on the validation images, of the bundled model on the
images as they are and normalised, and of both trainings. The laboratories are not recorded: the
picture shows the four images whose mean colours differ most.

Most of these images are of one violet stain. The method asks for two, so that the colours of the
images that show eosin are told apart from the others: eosin is what absorbs green far more than
red, and an image shows it where at least half of its stained pixels do.
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from delineate.data.normalise import Normalise
from delineate.data.stain import (
    Stains,
    find_stains,
    optical_density,
)
from delineate.errors import ImageError
from delineate.image import Image
from delineate.io import read, read_labels
from delineate.metrics import average_precision
from showing import header, mean, model_of, picture, row

COLOURS = ("red", "green", "blue")
MACENKO = Normalise(kind="macenko")


def histology(data: Path, split: str | None = None) -> list[dict[str, str]]:
    with (data / "splits.csv").open() as table:
        rows = [r for r in csv.DictReader(table) if r["kind"] == "histology"]
    return [r for r in rows if split in (None, r["split"])]


def write_table(data: Path, table: Path) -> None:
    with table.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, ["image", "split"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(histology(data))


def pixels(data: Path, name: str) -> np.ndarray:
    """uint8 (3, Y, X)."""
    return read(data / "images" / f"{name}.png").channel_first()


def normalised(image: np.ndarray) -> np.ndarray:
    """uint8 (3, Y, X); as it is, where it shows no two stains."""
    try:
        return np.rint(MACENKO.fit(image).apply(image) * 255).astype(np.uint8)
    except ImageError:
        return image


def stains(image: np.ndarray) -> Stains | None:
    try:
        return find_stains(image)
    except ImageError:
        return None


def with_eosin(image: np.ndarray) -> bool:
    """Whether most of what is stained absorbs green more than 2.5 times as much as red."""
    red, green, blue = optical_density(image, 240, 255).reshape(3, -1)
    stained = np.sqrt(red**2 + green**2 + blue**2) > 0.3
    return bool(np.mean(green[stained] > 2.5 * red[stained]) > 0.5)


def angles(vectors: list[np.ndarray]) -> np.ndarray:
    """Degrees between each stain vector (3,) and their mean."""
    each = np.array(vectors)
    middle = each.mean(axis=0)
    cosine = each @ middle / np.linalg.norm(each, axis=1) / np.linalg.norm(middle)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def density(image: np.ndarray) -> np.ndarray:
    """Mean optical density (3,)."""
    return optical_density(image, 240, 255).reshape(3, -1).mean(axis=1)


def spread(images: dict[str, dict[str, np.ndarray]]) -> None:
    header(
        "over images",
        "n",
        *(f"SD of mean OD, {c}" for c in COLOURS),
        "haematoxylin off its mean",
        "eosin",
    )
    for name, own in images.items():
        known = [s.vectors for s in map(stains, own.values()) if s is not None]
        off = [mean(angles([v[:, k] for v in known]), 1) + "°" for k in (0, 1)]
        deviation = np.std([density(i) for i in own.values()], axis=0)
        row(
            f"{name}; stains told in {len(known)}", len(own), *(f"{d:.3f}" for d in deviation), *off
        )


def most_different(images: dict[str, np.ndarray], n: int = 4) -> list[str]:
    """Names of images whose mean colours are far from each other, the first far from the mean."""
    names = list(images)
    colour = np.array([density(images[k]) for k in names])
    chosen = [int(np.argmax(np.linalg.norm(colour - colour.mean(axis=0), axis=1)))]
    while len(chosen) < n:
        near = np.linalg.norm(colour[:, None] - colour[chosen], axis=2).min(axis=1)
        chosen.append(int(np.argmax(near)))
    return [names[i] for i in chosen]


def precision(data: Path, predict: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """AP50 and mAP of each validation image (n, 2)."""
    found = []
    for entry in histology(data, "val"):
        truth = read_labels(data / "labels" / f"{entry['image']}.png")
        ap = average_precision(truth, predict(pixels(data, entry["image"])))
        found.append((ap[0], ap.mean()))
    return np.array(found)


def compare(scores: dict[str, np.ndarray]) -> None:
    header("on validation images", "n", "AP50", "mAP")
    for name, own in scores.items():
        row(name, len(own), *(mean(column) for column in own.T))
    first, second = scores.values()
    row("difference of the second, image by image", len(first), *map(mean, (second - first).T))
    print()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--table", type=Path, help="only write which images are H&E")
    parser.add_argument("--runs", type=Path, nargs=2, help="trained without and with")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures")
    args = parser.parse_args()
    if args.table:
        write_table(args.data, args.table)
        return
    before = {r["image"]: pixels(args.data, r["image"]) for r in histology(args.data)}
    after = {name: normalised(image) for name, image in before.items()}
    groups = {"with eosin": True, "of one stain": False}
    for group, eosin in groups.items():
        own = [name for name, image in before.items() if with_eosin(image) == eosin]
        both = {"as they are": before, "normalised": after}
        spread({f"{group}, {k}": {n: images[n] for n in own} for k, images in both.items()})
        print()

    def with_model(name: Path | str) -> Callable[[np.ndarray], np.ndarray]:
        model = model_of(name)
        return lambda image: model.predict(Image(image, "CYX", channels=COLOURS)).labels

    bundled = with_model("nuclei")
    scores = {
        "nuclei, images as they are": precision(args.data, bundled),
        "nuclei, images normalised": precision(args.data, lambda i: bundled(normalised(i))),
    }
    compare(scores)
    if args.runs:
        compare({run.name: precision(args.data, with_model(run)) for run in args.runs})
    if args.pictures:
        shown = most_different(before)
        lines = [[np.moveaxis(kind[k], 0, -1) / 255 for k in shown] for kind in (before, after)]
        picture(args.pictures / "stain.png", lines, [f"image {k[:6]}" for k in shown])


if __name__ == "__main__":
    main()
