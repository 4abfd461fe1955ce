"""Consensus of several experts beside SimpleITK: the same estimate, and the time for it.

    python benchmarks/consensus.py EXPERTS [--estimated FOLDER] [--images FOLDER] [--repeats 3]

EXPERTS holds a folder of binary masks for each expert (such as the five of cFOS in HC, Segebarth et
al. 2020, Dryad 10.5061/dryad.4b8gtht9d), FOLDER a published estimate of the same names. Shown are:
the largest difference of our STAPLE from SimpleITK's in probability, sensitivity and specificity;
Dice with the published estimate; seconds of the estimate alone, of objects, and of the whole
command with its tables, pictures and report; agreement of the experts. One thread.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"), "1")

import numpy as np
import SimpleITK

from delineate.consensus import annotation, fuse_objects, majority, staple
from delineate.consensus.experts import find_experts
from delineate.io import find_images, read_labels
from delineate.metrics import dice
from delineate.runs.consensus import ConsensusSettings, consensus_folder


def best(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Shortest of several runs in seconds, and the result."""
    seconds, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def reference(masks: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """SimpleITK's probability, sensitivity and specificity."""
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    staple_filter = SimpleITK.STAPLEImageFilter()
    found = staple_filter.Execute([SimpleITK.GetImageFromArray(m) for m in masks])
    return (
        SimpleITK.GetArrayFromImage(found),
        np.array(staple_filter.GetSensitivity()),
        np.array(staple_filter.GetSpecificity()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experts", type=Path)
    parser.add_argument("--estimated", type=Path, help="folder of a published estimate")
    parser.add_argument("--images", type=Path, help="folder of the images, for the report")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()

    found = find_experts([args.experts])
    published = {f.name: f.path for f in find_images(args.estimated)} if args.estimated else {}
    seconds: dict[str, list[float]] = {k: [] for k in ("ours", "simpleitk", "majority", "objects")}
    apart, scores, iterations = np.zeros(3), [], []
    for name, files in found.files.items():
        masks = [(read_labels(path) > 0).astype(np.uint8) for path in files.values()]

        def ours(masks: list[np.ndarray] = masks) -> Any:
            estimate = staple(masks, 2)
            return estimate, estimate.foreground, estimate.classes

        spent, (estimate, soft, hard) = best(ours, args.repeats)
        seconds["ours"].append(spent)
        spent, theirs = best(lambda masks=masks: reference(masks), args.repeats)
        seconds["simpleitk"].append(spent)
        each = (soft, estimate.sensitivity, estimate.specificity)
        gap = [np.abs(a - b).max() for a, b in zip(each, theirs, strict=True)]
        apart = np.maximum(apart, gap)
        iterations.append(estimate.iterations)
        seconds["majority"].append(best(lambda masks=masks: majority(masks, 2).classes, 1)[0])
        labels = [annotation(m).labels for m in masks]
        seconds["objects"].append(best(lambda labels=labels: fuse_objects(labels), 1)[0])
        if name in published:
            scores.append(dice(read_labels(published[name]) > 0, hard > 0))
    shape = " × ".join(map(str, masks[0].shape))
    print(f"{len(found.files)} images of {shape}, {len(found.experts)} experts, one thread")
    print(
        f"largest difference from SimpleITK: probability {apart[0]:.1e}, sensitivity "
        f"{apart[1]:.1e}, specificity {apart[2]:.1e}"
    )
    if scores:
        print(
            f"Dice with the published estimate: lowest {min(scores):.6f}, {len(scores)} images, "
            f"{sum(s == 1 for s in scores)} of them equal to the pixel"
        )
    ratio = sum(seconds["simpleitk"]) / sum(seconds["ours"])
    print(f"EM iterations: {min(iterations)} to {max(iterations)}")
    for what, spent in seconds.items():
        more = f" = {ratio:.0f} × ours" if what == "simpleitk" else ""
        print(f"{what:>10}: {sum(spent):8.3f} s in all, {1000 * np.mean(spent):7.1f} ms each{more}")
    for settings in (ConsensusSettings(), ConsensusSettings(objects=True)):
        with tempfile.TemporaryDirectory() as folder:
            spent, run = best(
                lambda settings=settings, folder=folder: consensus_folder(
                    args.experts, folder, settings, images=args.images
                ),
                1,
            )
        kind = "objects" if settings.objects else "pixels"
        print(f"\nthe whole command, {kind}, with tables, pictures and report: {spent:.1f} s")
        print("\n".join(run.lines()))


if __name__ == "__main__":
    main()
