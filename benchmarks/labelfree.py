"""Label-free prediction of three stains from phase contrast, in another part of the same field.

python benchmarks/labelfree.py prepare DATA/labelfree OUT
python benchmarks/labelfree.py score OUT RUN... --pictures DIR

DATA/labelfree holds phase.tif (7 planes) and fluorescence.tif (DAPI, MAP2, NFH) of 1024² pixels.
Columns below 608 train, those from 640 test, and the 32 between are left out, more than a nucleus
is wide. Of the part that trains, the uppermost third validates. The planes are the channels of a 2D
network. RUN is a folder of a training, and its name is shown:

    delineate train labelfree --data.images OUT/train --data.table OUT/train/splits.csv \\
        --data.z_channels true --method.channels 3 -o fnet
    the same with --network.name attention-unet --network.options.norm_up instance -o attention-unet
    delineate train labelfree-pix2pix (the same settings) --from fnet/model \\
        --regime.warmup_steps 0 -o pix2pix

Pearson's correlation and SSIM (in the best brightness and contrast) are over the whole test part.
Their intervals come from resampling its 24 blocks of 128² pixels: neurites cross several, so the
intervals are somewhat narrow; and it is one field of one culture. Last, nuclei are segmented by the
bundled model in the predicted and in the true DAPI: how far do both agree?
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from delineate.image import Image
from delineate.io import read, write_image
from delineate.metrics import (
    average_precision,
    bootstrap_interval,
    dice,
    match_scale,
    pearson,
    ssim,
)
from delineate.model import load
from showing import cell, header, model_of, picture, result, row, stretched

CHANNELS = ("DAPI", "MAP2", "NFH")
TRAIN, TEST, BLOCK = slice(0, 608), slice(640, 1024), 128
STRIPS = {"top": slice(0, 342), "middle": slice(342, 683), "bottom": slice(683, 1024)}
VALIDATES = "top"
FOCUS = 3
"""The middle one of the planes."""


def prepare(data: Path, out: Path) -> None:
    phase = read(data / "phase.tif", axes="ZYX")
    stains = read(data / "fluorescence.tif", axes="CYX")
    stains = Image(stains.numpy(), "CYX", channels=CHANNELS)
    parts = [("train", name, strip, TRAIN) for name, strip in STRIPS.items()]
    for split, name, rows, columns in [*parts, ("test", "right", slice(None), TEST)]:
        for kind, image in (("images", phase), ("targets", stains)):
            file = out / split / kind / f"{name}.tif"
            file.parent.mkdir(parents=True, exist_ok=True)
            write_image(file, image.select(Y=rows, X=columns))
    with (out / "train" / "splits.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image", "split"])
        writer.writerows([name, "val" if name == VALIDATES else "train"] for name in STRIPS)
    header("part", "rows", "columns", "use")
    for _, name, rows, columns in parts:
        use = "validates" if name == VALIDATES else "trains"
        row(name, f"{rows.start}–{rows.stop}", f"{columns.start}–{columns.stop}", use)
    row("right", "all", f"{TEST.start}–{TEST.stop}", "tests")


def blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    for y in range(0, shape[0], BLOCK):
        for x in range(0, shape[1], BLOCK):
            yield slice(y, y + BLOCK), slice(x, x + BLOCK)


def correlation(sums: np.ndarray) -> np.ndarray:
    """Pearson's correlation of sums (…, 6): n, p, t, p², t², p·t."""
    n, p, t, pp, tt, pt = np.moveaxis(sums, -1, 0)
    return (pt - p * t / n) / np.sqrt((pp - p * p / n) * (tt - t * t / n))


def pearson_cell(made: np.ndarray, truth: np.ndarray) -> str:
    p, t = (x.astype(np.float64) - x.mean() for x in (made, truth))
    terms = (np.ones_like(p), p, t, p * p, t * t, p * t)
    sums = [[term[place].sum() for term in terms] for place in blocks(truth.shape)]
    found = bootstrap_interval(np.array(sums), np.random.default_rng(0), statistic=correlation)
    assert np.isclose(found.value, pearson(made, truth))
    return cell(found)


def ssim_cell(made: np.ndarray, truth: np.ndarray) -> str:
    matched, values = match_scale(made, truth), []
    for place in blocks(truth.shape):
        inside = np.zeros(truth.shape, bool)
        inside[place] = True
        values.append(ssim(matched, truth, np.ptp(truth), inside))
    return cell(bootstrap_interval(values, np.random.default_rng(0)))


def texture(phase: np.ndarray, sigma: float) -> np.ndarray:
    """Local standard deviation of a plane: what can be told without learning."""
    plane = phase.astype(np.float64)
    return np.sqrt(
        np.clip(gaussian_filter(plane**2, sigma) - gaussian_filter(plane, sigma) ** 2, 0, None)
    )


def textures(out: Path, phase: np.ndarray) -> np.ndarray:
    """The same for each stain, at the scale that suits it best in the part that trains."""
    train = [
        (read(out / "train" / "images" / f"{name}.tif", axes="ZYX").numpy()[FOCUS], target)
        for name in STRIPS
        for target in [read(out / "train" / "targets" / f"{name}.tif").numpy()]
    ]
    made = []
    for channel in range(len(CHANNELS)):
        sigma = max(
            (1, 2, 4, 8, 12),
            key=lambda s, c=channel: np.mean([pearson(texture(p, s), t[c]) for p, t in train]),
        )
        made.append(texture(phase, sigma))
    return np.stack(made)


def score(out: Path, runs: list[Path], pictures: Path | None) -> None:
    file = out / "test" / "images" / "right.tif"
    phase = read(file, axes="ZYX").numpy()[FOCUS]
    truth = read(out / "test" / "targets" / "right.tif").numpy().astype(np.float32)
    made = {"local deviation, not learned": textures(out, phase)}
    made |= {run.name: result(model_of(run), file) for run in runs}
    for what, score_cell in (("Pearson", pearson_cell), ("SSIM at equal scale", ssim_cell)):
        header(what, "blocks", *CHANNELS)
        for name, image in made.items():
            cells = [score_cell(image[c], truth[c]) for c in range(len(CHANNELS))]
            row(name, len(list(blocks(phase.shape))), *cells)
        print()
    nuclei = load("nuclei")
    true_labels = nuclei.predict(truth[0]).labels
    header("nuclei in DAPI, as in the true DAPI", "found there", "found", "AP50", "mAP", "Dice")
    for name, image in made.items():
        labels = nuclei.predict(image[0]).labels
        ap = average_precision(true_labels, labels)
        own = dice(labels > 0, true_labels > 0)
        counts = true_labels.max(), labels.max()
        row(name, *counts, f"{ap[0]:.3f}", f"{ap.mean():.3f}", f"{own:.3f}")
    if pictures:
        lines = []
        for c in range(len(CHANNELS)):
            shown = [stretched(match_scale(made[r.name][c], truth[c]), truth[c]) for r in runs]
            lines.append([stretched(phase), stretched(truth[c]), *shown])
        upper = [[image[:512] for image in line] for line in lines]
        picture(pictures / "labelfree.png", upper, ["phase", "truth", *(r.name for r in runs)])


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("prepare")
    one.add_argument("data", type=Path)
    one.add_argument("out", type=Path)
    two = commands.add_parser("score")
    two.add_argument("out", type=Path)
    two.add_argument("runs", type=Path, nargs="*")
    two.add_argument("--pictures", type=Path, help="folder for the pictures")
    args = parser.parse_args()
    if args.command == "prepare":
        prepare(args.data, args.out)
    else:
        score(args.out, args.runs, args.pictures)


if __name__ == "__main__":
    main()
