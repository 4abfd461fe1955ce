"""Denoising widefield images: classical filters, regression from pairs, and noisy images alone.

python benchmarks/denoising.py DATA/denoising --table splits.csv
python benchmarks/denoising.py DATA/denoising RUN_PAIRED RUN_BLIND --pictures DIR

DATA/denoising holds train/ and test/, each with noisy/ and clean/ (the mean of 400 acquisitions).
The first line writes which training images validate: those of the last two fields. The runs are:

    delineate train restoration --data.images DATA/denoising/train/noisy \\
        --data.targets DATA/denoising/train/clean --data.table splits.csv -o RUN_PAIRED
    delineate train noise2void --data.images DATA/denoising/train/noisy -o RUN_BLIND

Filters are those of scikit-image (wavelets need PyWavelets) and BM3D where the package bm3d is
installed, each tuned for SI-PSNR on crops of all training images; `--tuned FILE` keeps the result.
Every file was stretched to 8 bits by itself, so brightness and contrast are fitted before PSNR and
SSIM are taken. Nine test images show three fields in three wavelengths: the intervals treat them as
independent, and are therefore somewhat narrow.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from delineate.metrics import image_scores
from filters import Tuned, apply, tune
from showing import grey, header, mean, model_of, picture, result, row, stretched

SIDE = 128
"""Pixels of a crop that filters are tuned on."""
VALIDATE = ("025", "027")
"""Fields whose images validate."""


def write_table(data: Path, table: Path) -> None:
    with table.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image", "split"])
        for path in sorted((data / "train" / "noisy").glob("*.png")):
            held = path.stem.split("_")[0] in VALIDATE
            writer.writerow([path.stem, "val" if held else "train"])


def pairs(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Noisy and clean image of each name, 0 … 1."""
    return {
        path.stem: (grey(path) / 255, grey(folder / "clean" / path.name) / 255)
        for path in sorted((folder / "noisy").glob("*.png"))
    }


def crops(data: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """A crop of each training pair, anywhere in it."""
    rng, found = np.random.default_rng(0), []
    for noisy, clean in pairs(data / "train").values():
        y, x = (int(rng.integers(n - SIDE + 1)) for n in noisy.shape)
        place = slice(y, y + SIDE), slice(x, x + SIDE)
        found.append((noisy[place], clean[place]))
    return found


def tuned_filters(data: Path, file: Path | None) -> dict[str, Tuned]:
    if file is not None and file.exists():
        found = {k: Tuned(**v) for k, v in json.loads(file.read_text()).items()}
    else:
        found = tune(crops(data))
        if file is not None:
            file.write_text(json.dumps({k: v._asdict() for k, v in found.items()}, indent=1))
    header("filter", "best parameters", "SI-PSNR of training crops", "seconds of tuning")
    for name, tuned in found.items():
        chosen = ", ".join(f"{k} {v}" for k, v in tuned.parameters.items())
        row(name, chosen, f"{tuned.score:.2f}", f"{tuned.seconds:.0f}")
    print()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--table", type=Path, help="only write which images train and validate")
    parser.add_argument("--tuned", type=Path, help="JSON file that keeps the tuned parameters")
    parser.add_argument("--pictures", type=Path, help="folder for the pictures")
    args = parser.parse_args()
    if args.table:
        write_table(args.data, args.table)
        return
    tuned = tuned_filters(args.data, args.tuned)
    test = pairs(args.data / "test")
    results = {"noisy": {name: noisy for name, (noisy, _) in test.items()}}
    for name, found in tuned.items():
        results[name] = {k: apply(name, noisy, found.parameters) for k, (noisy, _) in test.items()}
    classical = max(tuned, key=lambda name: tuned[name].score)
    for run in args.runs:
        model = model_of(run)
        results[run.name] = {
            k: result(model, args.data / "test" / "noisy" / f"{k}.png")[0] for k in test
        }
    scores = {
        name: [image_scores(images[k], clean, 1) for k, (_, clean) in test.items()]
        for name, images in results.items()
    }
    header("on the test images", "n", "SI-PSNR, dB", "SSIM at equal scale", "Pearson")
    for name, each in scores.items():
        row(
            name,
            len(each),
            mean([s.si_psnr for s in each], 2),
            mean([s.si_ssim for s in each]),
            mean([s.pearson for s in each]),
        )
    print(f"\nBest filter of the training crops: {classical}. Differences to it, image by image:\n")
    header("", "n", "SI-PSNR, dB", "SSIM at equal scale")
    for name in [run.name for run in args.runs]:
        both = list(zip(scores[name], scores[classical], strict=True))
        row(
            name,
            len(both),
            mean([a.si_psnr - b.si_psnr for a, b in both], 2),
            mean([a.si_ssim - b.si_ssim for a, b in both]),
        )
    if args.pictures:
        shown = ["noisy", classical, *[run.name for run in args.runs]]
        lines, middle = [], slice(176, 336)
        for name in list(test)[::4]:
            clean = test[name][1][middle, middle]
            images = [results[kind][name][middle, middle] for kind in shown]
            lines.append([*(stretched(i) for i in images), stretched(clean)])
        picture(args.pictures / "denoising.png", lines, [*shown, "mean of 400"])


if __name__ == "__main__":
    main()
