"""Accuracy on the validation split of the nuclei set, by kind, for models and for peers' labels.

python benchmarks/nuclei_accuracy.py DATA --model nuclei --labels cellpose=FOLDER

A model is scored twice: knowing nothing (it finds the scale itself) and given each image's true
median diameter, as cellpose is given it. `--diameters-only FILE` writes these for the peer.
Mean over images of AP = TP/(TP+FP+FN), 95 % bootstrap intervals over images.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from delineate.inference.runner import RunOptions
from delineate.io import read_labels
from delineate.labels import median_diameter
from delineate.metrics import average_precision, bootstrap_interval
from delineate.model import load


def rows_of(data: Path, split: str) -> list[dict[str, str]]:
    return [r for r in csv.DictReader((data / "splits.csv").open()) if r["split"] == split]


def show(name: str, scores: dict[str, np.ndarray], kinds: dict[str, str]) -> None:
    for kind in ("fluorescence", "histology", "brightfield"):
        each = np.stack([ap for image, ap in scores.items() if kinds[image] == kind])
        cells = []
        for values in (each[:, 0], each.mean(axis=1)):
            i = bootstrap_interval(values, np.random.default_rng(0))
            cells.append(f"{i.value:.3f} {i.bounds()}")
        print(f"| {name} | {kind} | {len(each)} | {cells[0]} | {cells[1]} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", action="append", default=[], help="name or folder")
    parser.add_argument("--labels", action="append", default=[], help="NAME=FOLDER of label files")
    parser.add_argument("--split", default="val")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--diameters-only", type=Path)
    args = parser.parse_args()
    rows = rows_of(args.data, args.split)
    kinds = {r["image"]: r["kind"] for r in rows}
    truth = {i: read_labels(args.data / "labels" / f"{i}.png") for i in kinds}
    if args.diameters_only:
        with args.diameters_only.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "diameter"])
            writer.writerows([i, median_diameter(t)] for i, t in truth.items())
        return
    print("| system | kind | images | AP50 | mAP |\n|---|---|---|---|---|")
    options = RunOptions(precision=args.precision, augment=args.augment)
    for name in args.model:
        model = load(name)
        for given in (False, True):
            scores = {}
            for image, labels in truth.items():
                diameter = median_diameter(labels) if given else None
                result = model.predict(
                    args.data / "images" / f"{image}.png", diameter=diameter, options=options
                )
                scores[image] = average_precision(labels, result.labels)
            show(f"{name}, {'true diameter' if given else 'own scale'}", scores, kinds)
    for pair in args.labels:
        name, folder = pair.split("=", 1)
        scores = {
            i: average_precision(t, read_labels(Path(folder) / f"{i}.tif"))
            for i, t in truth.items()
        }
        show(name, scores, kinds)


if __name__ == "__main__":
    main()
