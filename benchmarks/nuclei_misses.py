"""What a model of nuclei misses on the images that validated its training, and what it invents.

python benchmarks/nuclei_misses.py DATA RUN/images.csv --model nuclei

DATA is the nuclei set; the table is the one that training/train_nuclei.py wrote. A true object
without a find at IoU 0.5 is absent (less than a tenth of it was found), merged with another (one
find covers half of both), split (several finds lie in it) or found in another shape. Small objects
are narrower than 0.6 of the median of their image. Rows are shares of TP + FP + FN, mean over
images, so that those of FN and FP add up to 1 − AP50.
"""

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np

from delineate.io import read_labels
from delineate.labels import median_diameter, relabel
from delineate.model import load

SMALL = 0.6


def events(truth: np.ndarray, found: np.ndarray) -> Counter[str]:
    """What became of each true object and of each find of an image (labels 1…N)."""
    shape = int(truth.max()) + 1, int(found.max()) + 1
    table = np.bincount(truth.ravel() * shape[1] + found.ravel(), minlength=shape[0] * shape[1])
    table = table.reshape(shape)
    of_truth, of_found = table.sum(axis=1), table.sum(axis=0)
    iou = table / np.maximum(of_truth[:, None] + of_found - table, 1)
    matched = iou[1:, 1:] >= 0.5
    median = median_diameter(truth)
    counts: Counter[str] = Counter()
    for i in range(1, shape[0]):
        own = table[i]
        size = "small" if 2 * np.sqrt(of_truth[i] / np.pi) < SMALL * median else "other"
        counts[f"objects {size}"] += 1
        if matched[i - 1].any():
            counts["true positive"] += 1
            continue
        counts[f"missed {size}"] += 1
        most = 1 + int(own[1:].argmax()) if shape[1] > 1 else 0
        if 1 - own[0] / of_truth[i] < 0.1:
            kind = "absent"
        elif (table[1:, most] > 0.5 * of_truth[1:]).sum() > 1:
            kind = "merged"
        elif (own[1:] > 0.5 * of_found[1:]).sum() > 1:
            kind = "split"
        else:
            kind = "other shape"
        counts[f"FN, {kind}, {size}"] += 1
    for j in range(1, shape[1]):
        if not matched[:, j - 1].any():
            kind = "of nothing" if table[0, j] > 0.9 * of_found[j] else "of something"
            counts[f"FP, {kind}"] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("table", type=Path)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--kind", default="fluorescence")
    args = parser.parse_args()
    kinds = {r["image"]: r["kind"] for r in csv.DictReader((args.data / "splits.csv").open())}
    rows = csv.DictReader(args.table.open())
    images = [r["image"] for r in rows if r["split"] == "val" and kinds[r["image"]] == args.kind]
    model = load(args.model)
    shares: Counter[str] = Counter()
    sums: Counter[str] = Counter()
    for name in images:
        truth = relabel(read_labels(args.data / "labels" / f"{name}.png")).astype(np.int64)
        labels = model.predict(args.data / "images" / f"{name}.png").labels
        counts = events(truth, labels.astype(np.int64))
        sums.update(counts)
        judged = {k: n for k, n in counts.items() if k.startswith(("true", "FN", "FP"))}
        total = sum(judged.values())
        for key, number in judged.items():
            shares[key] += number / total / len(images)
    print(f"| {len(images)} images of {args.kind} | share |\n|---|---|")
    for key, share in sorted(shares.items(), key=lambda pair: -pair[1]):
        print(f"| {key} | {share:.4f} |")
    for size in ("small", "other"):
        print(f"{size}: {sums[f'missed {size}']} of {sums[f'objects {size}']} missed")


if __name__ == "__main__":
    main()
