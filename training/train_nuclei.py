"""Train the `nuclei` model of the package (or a shorter one for comparisons).

    python training/train_nuclei.py DATA FIRST --data.diameter 20 --train.patch 160 \\
        --train.steps 7000 --train.learning_rate 0.003 --augment.gamma 0.25
    python training/train_nuclei.py DATA OUT --from FIRST/model --train.processes 2 --train.batch 4

DATA is the nuclei set: images/, labels/ and splits.csv with the columns image, split, kind. Its
split `val` is never looked at here: a tenth of `train` chooses the best weights. Histology and
brightfield are drawn more often than their share, since they are few.
"""

import argparse
import csv
import logging
import sys
import time
from pathlib import Path

import numpy as np

from delineate.cli.overrides import parse_overrides
from delineate.model import load
from delineate.recipe import Recipe
from delineate.runs.train import Silent, train

WEIGHTS = {"fluorescence": 1.0, "histology": 2.0, "brightfield": 4.0}


class Printed(Silent):
    """One line every 25 steps."""

    def stage(self, text):
        print(text, flush=True)

    def step(self, progress):
        if progress.step % 25 == 0:
            scores = " ".join(f"{k} {v:.3f}" for k, v in progress.scores.items())
            print(
                f"{time.strftime('%H:%M:%S')} step {progress.step}/{progress.steps} "
                f"loss {progress.loss:.3f} {progress.patches_per_second:.2f} patches/s {scores}",
                flush=True,
            )


def write_table(data: Path, file: Path) -> None:
    """The inner split: a tenth of the training images, of each kind, validates."""
    rows = [r for r in csv.DictReader((data / "splits.csv").open()) if r["split"] == "train"]
    rng = np.random.default_rng(0)
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image", "split", "weight"])
        for kind, weight in WEIGHTS.items():
            images = [r["image"] for r in rows if r["kind"] == kind]
            order = rng.permutation(len(images))
            for place, number in enumerate(order):
                split = "val" if place < max(1, len(images) // 10) else "train"
                writer.writerow([images[number], split, weight])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--from", dest="start", help="model whose weights training starts from")
    args, rest = parser.parse_known_args()
    logging.basicConfig(level=logging.WARNING)
    args.out.mkdir(parents=True, exist_ok=True)
    table = args.out / "images.csv"
    write_table(args.data, table)
    overrides = {
        "data.images": str(args.data),
        "data.table": str(table),
        **parse_overrides(rest),
    }
    started = time.perf_counter()
    start = load(args.start) if args.start else None
    train(Recipe.load("nuclei", overrides), args.out, start=start, reporter=Printed())
    print(f"{time.perf_counter() - started:.0f} s: {' '.join(sys.argv)}")


if __name__ == "__main__":
    main()
