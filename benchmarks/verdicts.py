"""What verdicts and expected scores of a model come to on images whose truth is known.

delineate predict IMAGES -o RUN
python benchmarks/verdicts.py DATA RUN

DATA is the nuclei set, IMAGES its images of the split `val` (`--link IMAGES` makes a folder of
links to them); RUN is the finished run, or several that share a model. Nothing is predicted here.
For each required score and rule: how many images are to be verified, how many accepted, and how
many of the accepted miss the score. For each kind: the mean of the expected scores beside that of
the true ones, and the share of the intervals of single images that hold the true score.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from delineate.io import read_labels
from delineate.metrics import average_precision, bootstrap_interval
from delineate.review.run_tables import csv_rows, finite
from delineate.runs.quality import Judge

REQUIRED = (0.3, 0.4, 0.5, 0.55, 0.6, 0.7)
RULES = (None, 0.1, 0.2, 0.25, 0.3)


def read_runs(runs: list[Path], labels: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the runs know of the reference, and a row an image, with its true score."""
    quality: dict[str, Any] = {}
    rows = []
    for run in runs:
        known = json.loads((run / "run.json").read_text(encoding="utf-8"))["quality"]
        if quality and known["images"] != quality["images"]:
            raise SystemExit(f"{run}: of another model than {runs[0]}")
        quality = known
        for row in csv_rows(run / "images.csv"):
            if row["status"] != "done":
                continue
            truth = read_labels(labels / f"{row['image']}.png")
            found = read_labels(run / "labels" / f"{row['image']}.tif")
            names = ("uncertainty", "aleatoric", "novelty")
            numbers = {name: finite(row.get(name)) for name in names}
            score = float(average_precision(truth, found).mean())
            rows.append({"image": row["image"], "status": "done", "objects": row["objects"],
                         "score": score, **numbers})  # fmt: skip
    return quality, rows


def verdicts(quality: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """A row a required score, a column a rule: verified, accepted, accepted but too low."""
    score = np.array([row["score"] for row in rows])
    heads = ["U_min" if risk is None else f"risk {risk:g}" for risk in RULES]
    print(f"| required | good enough | {' | '.join(heads)} |\n|{'---|' * (len(RULES) + 2)}")
    for required in REQUIRED:
        cells = []
        for risk in RULES:
            judge = Judge(Judge.of_run(quality, 0).reference, required, 0, risk)
            taken = np.array([row["verdict"] == "accept" for row in judge.rows(rows)])
            low = int((taken & (score < required)).sum())
            cells.append(f"{(~taken).sum()}, {taken.sum()}, {low}")
        print(f"| {required:g} | {(score >= required).sum()} | {' | '.join(cells)} |")


def expected(quality: dict[str, Any], rows: list[dict[str, Any]], kinds: dict[str, str]) -> None:
    """A row a kind: expected mean, true mean, their difference, and the coverage."""
    judged = Judge.of_run(quality, 0).rows(rows)
    print("| kind | images | expected | true | expected less true | in the 90 % interval |")
    print("|---|---|---|---|---|---|")
    for kind in ("fluorescence", "histology", "brightfield", "all"):
        own = [r for r in judged if kind in (kinds[r["image"]], "all")]
        own = [r for r in own if np.isfinite(r["expected_score"])]
        if not own:
            continue
        guess = np.array([r["expected_score"] for r in own])
        score = np.array([r["score"] for r in own])
        held = np.mean([r["expected_low"] <= r["score"] <= r["expected_high"] for r in own])
        off = bootstrap_interval(guess - score, np.random.default_rng(0))
        print(
            f"| {kind} | {len(own)} | {guess.mean():.3f} | {score.mean():.3f} | {off.value:+.3f} "
            f"{off.bounds()} | {held:.2f} |"
        )


def link(data: Path, folder: Path, images: list[str]) -> None:
    """Make a folder of links to images."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        own = folder / f"{image}.png"
        own.unlink(missing_ok=True)
        own.symlink_to((data / "images" / f"{image}.png").resolve())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="*")
    parser.add_argument("--link", type=Path, help="folder for links to the images of the split")
    parser.add_argument("--split", default="val")
    args = parser.parse_args()
    with (args.data / "splits.csv").open(newline="") as file:
        kinds = {r["image"]: r["kind"] for r in csv.DictReader(file) if r["split"] == args.split}
    if args.link:
        link(args.data, args.link, list(kinds))
    if args.runs:
        quality, rows = read_runs(args.runs, args.data / "labels")
        verdicts(quality, rows)
        print()
        expected(quality, rows, kinds)


if __name__ == "__main__":
    main()
