"""Run folders whose images have an uncertainty and a verdict, and the charts of their reports."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np

from delineate.image import Image
from delineate.review.heat import write_heat
from delineate.uncertainty import Reference
from test_review_report import make_run, table

U = {"worst": 0.12, "middle": 0.06, "best": 0.02}


def reference(n: int = 20, measure: str = "predictive", origin: str = "held-out") -> dict[str, Any]:
    """What a model knows of images whose score falls while uncertainty grows."""
    u = np.linspace(0.01, 0.2, n)
    return Reference(
        tuple(f"r{i}" for i in range(n)),
        tuple(u),
        tuple(1.0 - 4 * u),
        "map",
        measure,  # type: ignore[arg-type]
        origin,  # type: ignore[arg-type]
    ).to_dict()


def quality(required: float | None = 0.8, **changes: Any) -> dict[str, Any]:
    """What a run says of how it was judged."""
    found: dict[str, Any] = {
        **reference(),
        "expected": {"value": 0.71, "low": 0.62, "high": 0.8, "n": 3, "missing": 0,
                     "extrapolated": 0, "level": 0.9},
        "no_expectation": "",
        "required": required,
        "u_min": None if required is None else 0.055,
    }  # fmt: skip
    if required is not None:
        found["ranking"] = {
            "failures": 15,
            "spearman": [-0.93, -0.99, -0.8, 20, 0.95],
            "auroc": [0.97, 0.9, 1.0, 20, 0.95],
        }
    return found | changes


def judged(
    folder: Path, images: dict[str, dict[str, Any]], heats: bool = True, **record: Any
) -> Path:
    """A run folder with these columns in images.csv, and pictures of uncertainty."""
    make_run(folder, {name: [100, 200] for name in images}, **record)
    with (folder / "images.csv").open(newline="") as file:
        rows = [{**row, **images[row["image"]]} for row in csv.DictReader(file)]
    table(folder / "images.csv", rows)
    for name in images if heats else ():
        values = np.full((24, 32), 0.1, np.float32)
        image = Image(np.zeros((24, 32), np.uint8), "YX")
        write_heat(folder / "uncertainty" / f"{name}.jpg", image, np.zeros((24, 32), int), values)
    return folder


def three(**columns: Any) -> dict[str, dict[str, Any]]:
    """Columns of images.csv of three images; two are to be verified."""
    return {
        name: {
            "uncertainty": u,
            "aleatoric": 0.75 * u,
            "epistemic": 0.25 * u,
            "novelty": 1.0 + 40 * u,
            "expected_score": 1 - 4 * u,
            "expected_low": 0.9 - 4 * u,
            "expected_high": 1.0,
            "verdict": "verify" if u >= 0.055 else "accept",
            **columns,
        }
        for name, u in U.items()
    }


def chart(page_text: str, label: str) -> str:
    """The one chart whose label begins so."""
    found = re.findall(rf'<svg class="chart" [^>]*aria-label="{label}[^"]*">.*?</svg>', page_text)
    assert len(found) == 1, label
    return str(found[0])


def circles(drawn: str, kind: str) -> list[tuple[float, float]]:
    """Where the dots of a kind stand."""
    found = re.findall(rf'<circle class="dot {kind}" cx="([\d.-]+)" cy="([\d.-]+)"', drawn)
    return [(float(x), float(y)) for x, y in found]
