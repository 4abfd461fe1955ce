"""Speed and memory of image to image, 2D and 3D, beside MMV_Im2Im's own code, on the same files.

python benchmarks/im2im_speed.py --peer /path/to/python

Both train fnet (8.1 million parameters in 2D, 23.3 in 3D) with Adam(W) on the squared error of
patches of equal size, mirrored, and predict one large image from file to file. Training counts the
time between ends of steps after the second, so what a step waits for its data is in it. Each run is
a process of its own, ours and the peer's in turn; the best speed and the largest peak of resident
memory of the repeats count. The peer trains twice: as its presets say, and with its images kept in
memory (see peers/im2im_peer.py). It predicts with the tiles of its presets; ours has its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

PEER = Path(__file__).with_name("peers") / "im2im_peer.py"
FLIPS_ONLY = {
    **dict.fromkeys(("rotate", "brightness", "contrast", "gamma", "noise", "channel_gain"), 0.0),
    "scale": (1.0, 1.0),
}


class Sizes(NamedTuple):
    """What one comparison works on; sizes are in pixels."""

    ndim: int
    image: tuple[int, ...]
    patch: tuple[int, ...]
    batch: int
    large: tuple[int, ...]
    tile: tuple[int, ...]
    """Of the peer's presets, which predict with the shape that they train with."""


FULL = {
    2: Sizes(2, (512, 512), (128, 128), 8, (2048, 2048), (512, 512)),
    3: Sizes(3, (32, 256, 256), (32, 96, 96), 2, (32, 512, 512), (32, 128, 128)),
}
SMALL = {
    2: Sizes(2, (128, 128), (64, 64), 8, (256, 256), (128, 128)),
    3: Sizes(3, (32, 64, 64), (32, 48, 48), 2, (32, 128, 128), (32, 64, 64)),
}


def write_images(folder: Path, sizes: Sizes, count: int) -> None:
    """IM/ and GT/ with `count` pairs: noise of two scales, and the smooth part of it."""
    import tifffile
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    smooth = [gaussian_filter(rng.normal(0, 1, sizes.image), 3) for _ in range(4)]
    for part in ("IM", "GT"):
        (folder / part).mkdir(parents=True)
    axes = "ZYX"[-sizes.ndim :]
    for i in range(count):
        target = np.roll(smooth[i % 4], 7 * i, axis=-1)
        target = 2000 + 500 * target / target.std()
        for part, values in (("IM", target + rng.normal(0, 300, target.shape)), ("GT", target)):
            pixels = np.clip(values, 0, 65535).astype(np.uint16)
            file = folder / part / f"{i:03}.tiff"
            tifffile.imwrite(file, pixels, imagej=True, metadata={"axes": axes})
    (folder.parent / "large").mkdir()
    (folder.parent / "small").mkdir()
    for name, shape in (("large", sizes.large), ("small", sizes.tile)):
        pixels = rng.integers(100, 4000, shape).astype(np.uint16)
        file = folder.parent / name / f"{name}.tiff"
        tifffile.imwrite(file, pixels, imagej=True, metadata={"axes": axes})


def train(args: argparse.Namespace, sizes: Sizes, folder: Path) -> dict:
    """Our training by its recipe; the steps are heard of as the command line hears of them."""
    from delineate.recipe import Recipe
    from delineate.runs.train import Silent
    from delineate.runs.train import train as run

    class Stopwatch(Silent):
        times: list[float] = []  # noqa: RUF012  one training a process

        def step(self, progress: object) -> None:
            self.times.append(time.perf_counter())

    steps = args.steps + 2
    values = {
        "data": {
            "images": folder / "train" / "IM",
            "targets": folder / "train" / "GT",
            "ndim": sizes.ndim,
            "validation": 0,  # the clock stops with the last step, and the peer has no such scores
        },
        "normalise": {"kind": "percentile" if sizes.ndim == 2 else "mean-std"},
        "method": {"name": "regression", "l1": 0.0, "l2": 1.0},
        "network": {"name": "fnet", "options": {"features": args.width, "depth": args.depth}},
        "train": {
            "steps": steps,
            "validate_every": steps,
            "batch": sizes.batch,
            "patch": sizes.patch,
            "precision": args.precision,
            "learning_rate": 1e-3,
        },
    }
    if not args.default_augment:
        values["augment"] = FLIPS_ONLY
    run(Recipe.build(values), folder / f"run-{args.precision}", reporter=Stopwatch())
    times = Stopwatch.times
    gaps = [b - a for a, b in pairwise(times[1:])]
    return {"seconds": gaps, "patches_per_second": sizes.batch * len(gaps) / sum(gaps)}


def predict(args: argparse.Namespace, sizes: Sizes, folder: Path) -> dict:
    """Our prediction, from reading the model and the image to the written result."""
    from delineate.inference.runner import RunOptions
    from delineate.model import load

    seconds = []
    for name in ("small", "large"):  # the small one compiles and imports
        start = time.perf_counter()
        model = load(folder / f"run-{args.precision}" / "model")
        options = RunOptions(precision=args.precision)
        found = model.predict(folder / name / f"{name}.tiff", options=options)
        found.save(folder / f"{name}-result.tif")
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1:]}


def ours(args: argparse.Namespace, sizes: Sizes) -> None:
    """One job in this process; prints JSON as the peer does."""
    import torch

    torch.set_num_threads(args.threads)
    result = {"train": train, "predict": predict}[args.job](args, sizes, args.folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result["peak_mb"] = peak / (1e6 if sys.platform == "darwin" else 1e3)
    print(json.dumps(result))


def ask(args: argparse.Namespace, *command: object) -> dict:
    """The JSON that ends the output of a process with this many threads."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def ask_ours(
    args: argparse.Namespace, job: str, ndim: int, precision: str, folder: Path, steps: int = 0
) -> dict:
    same = ["--threads", args.threads, "--steps", steps or args.steps, "--width", args.width]
    same += ["--depth", args.depth, "--precision", precision]
    flags = ["--small"] * args.small + ["--default-augment"] * args.default_augment
    own = ["--job", job, "--ndim", ndim, "--folder", folder]
    return ask(args, sys.executable, __file__, *own, *same, *flags)


def ask_peer(
    args: argparse.Namespace, job: str, sizes: Sizes, precision: str, folder: Path, *extra: object
) -> dict:
    same = ["--threads", args.threads, "--width", args.width, "--depth", args.depth]
    if job == "train":
        own = ["--patch", *sizes.patch, "--batch", sizes.batch]
        own += ["--steps", args.steps, "--precision", precision]
    else:
        own = ["--patch", *sizes.tile, "--image", folder / "large" / "large.tiff"]
        own += ["--warm", folder / "small" / "small.tiff"]
    where = [folder / "train", "--ndim", sizes.ndim, "--task", job]
    return ask(args, args.peer, PEER, *where, *own, *same, *extra)


class Row(NamedTuple):
    """A line of the table; `speed` is in patches or images a second."""

    name: str
    peer: bool
    precision: str
    speed: float
    peak_mb: float


def measured(
    args: argparse.Namespace, job: str, sizes: Sizes, precisions: list[str], folder: Path
) -> list[Row]:
    """Ours and the peer's in turn, as often as asked for."""
    found: dict[tuple[str, bool, str], list[tuple[float, float]]] = {}

    def note(name: str, peer: bool, precision: str, got: dict) -> None:
        speed = got["patches_per_second"] if job == "train" else 1 / min(got["seconds"])
        found.setdefault((name, peer, precision), []).append((speed, got["peak_mb"]))

    for repeat in range(args.repeats):
        for p in precisions:
            if job == "train" and repeat:  # a finished run is not trained again
                (folder / f"run-{p}").rename(folder / f"run-{p}-{repeat}")
            note(f"delineate, {p}", False, p, ask_ours(args, job, sizes.ndim, p, folder))
            if not args.peer:
                continue
            name = f"MMV_Im2Im 0.8.1, {p}"
            if job == "predict":  # its tester knows fp32 alone
                if p == precisions[0]:
                    got = ask_peer(args, job, sizes, "fp32", folder)
                    note("MMV_Im2Im 0.8.1, fp32", True, "fp32", got)
                continue
            for workers in args.peer_workers:
                extra = ["--workers", workers]
                which = f"{name}, {workers} workers"
                note(which, True, p, ask_peer(args, job, sizes, p, folder, *extra))
                cached = ask_peer(args, job, sizes, p, folder, "--cached", *extra)
                note(f"{which}, cached", True, p, cached)
    return [
        Row(*key, max(s for s, _ in got), max(mb for _, mb in got)) for key, got in found.items()
    ]


def table(job: str, sizes: Sizes, rows: list[Row], threads: int) -> None:
    """Rows beside the peer's fastest and leanest of the same precision, else of fp32."""
    shape = "×".join(map(str, sizes.large))
    step = f"{sizes.batch} × {'×'.join(map(str, sizes.patch))}"
    what, unit = (
        (f"training {sizes.ndim}D, {step}", "patches/s")
        if job == "train"
        else (f"predicting {shape}", "s")
    )
    print(f"\n| {what}, {threads} threads | {unit} | speed | peak MB | memory |")
    print("|---|---|---|---|---|")
    for row in rows:
        peers = [r for r in rows if r.peer and r.precision == row.precision]
        peers = peers or [r for r in rows if r.peer]
        value = row.speed if job == "train" else 1 / row.speed
        speed = f"{row.speed / max(r.speed for r in peers):.2f}×" if peers else ""
        memory = f"{row.peak_mb / min(r.peak_mb for r in peers):.2f}×" if peers else ""
        print(f"| {row.name} | {value:.2f} | {speed} | {row.peak_mb:.0f} | {memory} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", "--peer-python", help="python of an environment with mmv_im2im")
    parser.add_argument("--peer-workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--ndim", type=int, nargs="+", choices=[2, 3], default=[2, 3])
    parser.add_argument("--only", choices=["train", "predict"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10, help="that are timed")
    parser.add_argument("--width", type=int, default=32, help="channels of the first level")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--precision", choices=["fp32", "bf16"], help="default: what is fast here")
    parser.add_argument("--default-augment", action="store_true", help="ours turns and scales too")
    parser.add_argument("--small", action="store_true", help="small images: does it all run?")
    parser.add_argument("--job", choices=["train", "predict"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    known = SMALL if args.small else FULL
    if args.job:
        ours(args, known[args.ndim[0]])
        return
    import torch

    from delineate.inference.device import has_fast_bf16

    fast = has_fast_bf16(torch.device("cpu"))
    precisions = [args.precision] if args.precision else ["fp32", *(["bf16"] if fast else [])]
    for ndim in args.ndim:
        sizes = known[ndim]
        # Enough that the peer, which takes four patches of an image, has no step twice.
        count = round((args.steps + 3) * max(1, sizes.batch / 4) / 0.9) + 2
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_images(folder / "train", sizes, count)
            if args.only != "predict":
                rows = measured(args, "train", sizes, precisions, folder)
                table("train", sizes, rows, args.threads)
            else:
                for p in precisions:
                    ask_ours(args, "train", ndim, p, folder, steps=1)
            if args.only != "train":
                rows = measured(args, "predict", sizes, precisions, folder)
                table("predict", sizes, rows, args.threads)


if __name__ == "__main__":
    main()
