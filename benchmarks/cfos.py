"""cFOS nuclei annotated by five experts: an ensemble, its uncertainty, and images of other labs.

python benchmarks/cfos.py DATA/cfos DATA/cfos-other-labs RUN

DATA/cfos holds images/, estimated/ (the published consensus, 0/255), experts/EXPERT/ and splits.csv
(image, split: train or test); RUN is the folder of the training:

    delineate train semantic --data.images DATA/cfos/images --data.labels DATA/cfos/estimated \\
        --data.table DATA/cfos/splits.csv --ensemble.folds 5 -o RUN

Printed: Dice and mAP on the test images of the ensemble, of each member and of each expert; how
uncertainty ranks the images left out in training; how novelty and uncertainty tell the other labs'
images apart; calibration of the test images with and without the fitted temperature.
"""

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from delineate.io import find_images, read_labels
from delineate.metrics import Interval, bootstrap_interval
from delineate.model import Model, load
from delineate.uncertainty import (
    Reference,
    Reliability,
    auroc_interval,
    pixel_reliability,
    ranking,
)


def shown(interval: Interval) -> str:
    return f"{interval.value:.2f} {interval.bounds('.2f')}"


def show(name: str, values: list[float]) -> None:
    i = bootstrap_interval(np.array(values), np.random.default_rng(0))
    print(f"| {name} | {i.n} | {i.value:.3f} {i.bounds()} |", flush=True)


def file(folder: Path, name: str) -> Path:
    return next(folder.glob(f"{name}.*"))


def scores(model: Model, data: Path, names: list[str]) -> list[dict[str, float]]:
    found = []
    for name in names:
        prediction = model.predict(file(data / "images", name))
        labels = read_labels(file(data / "estimated", name))
        found.append(model.recipe.method.compare(prediction.classes, labels))
    return found


def calibration(model: Model, data: Path, names: list[str], **decoding: float) -> Reliability:
    method, total = model.recipe.method, None
    for name in names:
        posterior = model.predict(file(data / "images", name), keep_maps=True, **decoding).posterior
        p = method.distribution(torch.from_numpy(posterior.maps)[None])[0].numpy()
        one = pixel_reliability(p, method.class_image(read_labels(file(data / "estimated", name))))
        total = one if total is None else total + one
    return total


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("others", type=Path)
    parser.add_argument("run", type=Path)
    args = parser.parse_args()
    model = load(args.run / "model")
    with (args.data / "splits.csv").open() as table:
        test = [row["image"] for row in csv.DictReader(table) if row["split"] == "test"]
    print("| on the test images | n | mean [95 %] |\n|---|---|---|")
    whole = scores(model, args.data, test)
    for name in ("dice", "map", "ap50"):
        show(f"ensemble of {len(model.members)}, {name}", [s[name] for s in whole])
    alone = []
    for number, weights in enumerate(model.members):
        member = replace(model, members=(weights,), novelty=(), _built=[], _runners={})
        alone.append([s["dice"] for s in scores(member, args.data, test)])
        show(f"member {number}, dice", alone[-1])
    show("mean member, dice", list(np.mean(alone, axis=0)))
    method = model.recipe.method
    for expert in sorted(p for p in (args.data / "experts").iterdir() if p.is_dir()):
        own = []
        for name in test:
            found = method.class_image(read_labels(file(expert, name)))
            own.append(method.compare(found, read_labels(file(args.data / "estimated", name))))
        show(f"{expert.name}, dice", [s["dice"] for s in own])
        show(f"{expert.name}, map", [s["map"] for s in own])

    reference = Reference.from_dict(model.description.reference)
    order = ranking(reference, 0.7, np.random.default_rng(0))
    print(f"images left out: {order.n}, Spearman(U, Dice) {shown(order.spearman)}")
    print(f"failures (Dice < 0.7): {order.failures}, AUROC {shown(order.auroc)}")

    groups = {"test": [file(args.data / "images", name) for name in test]}
    groups |= {p.name: [i.path for i in find_images(p / "images")] for p in labs(args.others)}
    rows = []
    for name, images in groups.items():
        for image in images:
            found = model.predict(image)
            rows.append((name, found.novelty, found.scores.uncertainty))
            print(
                f"| {name} | {image.stem} | {found.novelty:.2f} | {found.scores.uncertainty:.4f} |"
            )
    shifted = np.array([name != "test" for name, _, _ in rows])
    for place, what in ((1, "novelty"), (2, "uncertainty")):
        values = np.array([row[place] for row in rows])
        known = np.isfinite(values)
        found = auroc_interval(values[known], shifted[known], np.random.default_rng(0))
        print(f"other labs told apart by {what}: AUROC {shown(found)}")

    temperature = method.temperature
    for name, value in (("temperature 1", 1.0), (f"temperature {temperature:.2f}", temperature)):
        found = calibration(model, args.data, test, temperature=value)
        print(f"{name}: ECE {found.ece:.4f} over {found.n} pixels of the test images")


def labs(others: Path) -> list[Path]:
    return sorted(p for p in others.iterdir() if (p / "images").is_dir())


if __name__ == "__main__":
    main()
