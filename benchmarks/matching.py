"""Speed, memory and exactness of matching and AP, beside cellpose 3.1 and StarDist.

python benchmarks/matching.py --peer CELLPOSE_PYTHON --stardist STARDIST_PYTHON --mask LABELS.png

Both interpreters belong to environments of their own (`pip install cellpose==3.1.1.3`,
`pip install stardist`); without them our numbers alone are printed. One thread everywhere.
The results of the peers must equal ours, or the script fails.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
os.environ |= dict.fromkeys(THREADS, "1")

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from scipy import ndimage  # noqa: E402

from delineate.io import read_labels  # noqa: E402
from delineate.labels import relabel  # noqa: E402
from delineate.metrics import THRESHOLDS, Matching, match, match_overlaps, overlap_table  # noqa: E402
from synthetic import nuclei  # noqa: E402

LOW_AND_HIGH = (0.1, 0.25, 0.3, *THRESHOLDS)


class Run(NamedTuple):
    """Seconds of the best repetition, and per threshold tp, fp, fn and perhaps the mean IoU."""

    seconds: float
    result: list[list[float]]


def disturbed(truth: NDArray[Any], seed: int) -> NDArray[np.int32]:
    """A prediction: shifted by (2, 3) pixels, a twentieth missed, a twentieth merged."""
    rng = np.random.default_rng(seed)
    ids = np.arange(truth.max() + 1, dtype=np.int32)
    ids[1:][rng.random(ids.size - 1) < 0.05] = 0
    merged = 1 + np.flatnonzero(rng.random(ids.size - 2) < 0.05)
    ids[merged] = ids[merged + 1]
    # Without gaps: cellpose counts every unused id below the largest as a false positive.
    return relabel(np.roll(ids[truth], (2, 3), (0, 1))).astype(np.int32)


def ours(
    truth: NDArray[Any], pred: NDArray[Any], thresholds: Sequence[float], repeats: int
) -> tuple[float, list[Matching]]:
    """Our matching at all thresholds: seconds of the best repetition, and the matchings."""
    match(truth[:64, :64], pred[:64, :64], 0.1)
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        overlaps = overlap_table(truth, pred)
        found = [match_overlaps(overlaps, t) for t in thresholds]
        seconds.append(time.perf_counter() - start)
    return min(seconds), found


def peer(
    python: str, name: str, truth: NDArray[Any], pred: NDArray[Any], thresholds: Sequence[float],
    repeats: int,
) -> Run:  # fmt: skip
    """The same by a peer, in its own interpreter."""
    script = Path(__file__).parent / "peers" / "matching.py"
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / f"{side}.npy") for side in ("truth", "pred")]
        for file, array in zip(files, (truth, pred), strict=True):
            np.save(file, array)
        command = [python, str(script), name, *files, str(repeats), *map(str, thresholds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return Run(min(answer["seconds"]), answer["result"])


def check(name: str, found: list[Matching], theirs: Run) -> None:
    """Fail unless a peer's counts, and its mean IoU where it gives one, equal ours.

    StarDist computes IoU in float32, so its means equal ours to seven digits.
    """
    for m, row in zip(found, theirs.result, strict=True):
        equal = [m.tp, m.fp, m.fn] == row[:3]
        if len(row) > 3:
            equal &= bool(np.isclose(m.mean_matched_iou if m.tp else 0.0, row[3], rtol=1e-6))
        if not equal:
            sys.exit(f"{name} differs at IoU {m.threshold}: ours {m[1:4]}, theirs {row}")


def compare_speed(args: argparse.Namespace) -> None:
    """AP over ten thresholds on 2048² with 3,500 objects."""
    truth = nuclei((2048, 2048), 3500, seed=1)
    pred = disturbed(truth, seed=2)
    seconds, found = ours(truth, pred, THRESHOLDS, args.repeats)
    print(f"2048 x 2048, {truth.max()} true and {found[0].n_pred} predicted objects, 10 thresholds")
    print(f"  AP50 {found[0].ap:.3f}, mAP {np.mean([m.ap for m in found]):.3f}")
    print(f"  delineate {seconds:8.4f} s")
    for name, python in (("cellpose", args.peer), ("stardist", args.stardist)):
        if python:
            theirs = peer(python, name, truth, pred, THRESHOLDS, args.repeats)
            check(name, found, theirs)
            print(
                f"  {name:9} {theirs.seconds:8.4f} s = {theirs.seconds / seconds:.1f} x, "
                "equal results"
            )


def compare_rotated(args: argparse.Namespace) -> None:
    """A real mask against itself rotated by 2°, as in StarDist's documentation."""
    truth = np.asarray(read_labels(args.mask)).astype(np.int32)
    pred = ndimage.rotate(truth, 2, order=0, reshape=False)
    _, found = ours(truth, pred, LOW_AND_HIGH, 1)
    theirs = (
        peer(args.stardist, "stardist", truth, pred, LOW_AND_HIGH, 1) if args.stardist else None
    )
    if theirs:
        check("stardist", found, theirs)
    print(
        f"{args.mask.name} {truth.shape} against itself rotated by 2°, {found[0].n_truth} objects"
    )
    print("  IoU  |  delineate: tp   fp   fn  mean matched |  stardist: tp   fp   fn  mean matched")
    for k, m in enumerate(found):
        mean = m.mean_matched_iou if m.tp else 0.0
        line = f"  {m.threshold:.2f} | {m.tp:13d} {m.fp:4d} {m.fn:4d}  {mean:12.6f}"
        if theirs:
            tp, fp, fn, score = theirs.result[k]
            line += f" | {tp:12d} {fp:4d} {fn:4d}  {score:12.6f}"
        print(line)


def large(size: int, n: int) -> tuple[float, float, float, int]:
    """Seconds, memory of the two label images and peak of the process (GB), and pairs."""
    truth = nuclei((size, size), n, seed=3)
    pred = disturbed(truth, seed=4)
    seconds, _ = ours(truth, pred, THRESHOLDS, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    pairs = overlap_table(truth, pred).counts.size
    return seconds, (truth.nbytes + pred.nbytes) / 1e9, peak, pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="Python interpreter with cellpose 3.1")
    parser.add_argument("--stardist", help="Python interpreter with stardist")
    parser.add_argument("--mask", type=Path, help="label image with many objects, to be rotated")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    compare_speed(args)
    if args.mask:
        compare_rotated(args)
    for size, n in ((2500, 5_000), (5000, 20_000), (10_000, 80_000)):
        # A process of its own, so that the peak is that of this size alone.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            seconds, images, peak, pairs = pool.submit(large, size, n).result()
        print(
            f"{size} x {size}, {n} objects, {pairs} pairs, 10 thresholds: {seconds:.2f} s, "
            f"peak of the process {peak:.2f} GB (label images {images:.2f} GB)"
        )


if __name__ == "__main__":
    main()
