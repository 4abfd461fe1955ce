"""Time and memory of a whole prediction from 1k² to 10k², through the command as a user runs it.

python benchmarks/growth.py --model nuclei --sides 1024 2048 4096 10000 --plot growth.png

A synthetic image with nuclei (80,000 on 10,000²) is written as a tiled TIFF, `delineate predict`
runs on it in a process of its own, and the kernel's account of that process is printed.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import tifffile

from speed import render
from synthetic import nuclei


def measure(image: Path, model: str, diameter: str | None, out: Path) -> tuple[float, float, int]:
    """Seconds, peak GB and objects of one run of the command."""
    code = (
        "import resource, sys; from delineate.cli import main\n"
        "try: main()\n"
        "finally: print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, "predict", str(image), "-o", str(out), "--model", model]
    if diameter:
        command += ["--diameter", diameter]
    start = time.perf_counter()
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit((out / "images.csv").read_text())
    seconds = time.perf_counter() - start
    kib = int(done.stdout.split("peak")[-1])
    with (out / "images.csv").open() as file:
        objects = int(next(csv.DictReader(file))["objects"])
    return seconds, kib / 2**20, objects


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 2048, 4096, 10000])
    parser.add_argument("--diameter", help="by default the model finds it")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    print("| image | objects drawn | objects found | seconds | s per Mpx | peak memory |")
    print("|---|---|---|---|---|---|")
    points = []
    for side in args.sides:
        with tempfile.TemporaryDirectory() as folder:
            n = round(80_000 * (side / 10_000) ** 2)
            image = Path(folder) / "slide.tif"
            tifffile.imwrite(
                image, render(nuclei((side, side), n, 0)), tile=(512, 512), compression="zlib"
            )
            seconds, peak, found = measure(image, args.model, args.diameter, Path(folder) / "out")
        points.append((side**2 / 1e6, seconds, peak))
        per = seconds / (side**2 / 1e6)
        print(
            f"| {side}² | {n} | {found} | {seconds:.1f} | {per:.2f} | {peak:.2f} GB |", flush=True
        )
    if args.plot:
        draw(points, args.plot)


def draw(points: list[tuple[float, float, float]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots(1, 2)
    area = [p[0] for p in points]
    for ax, values, name in zip(
        axes, ([p[1] for p in points], [p[2] for p in points]), ("seconds", "peak GB"), strict=True
    ):
        ax.plot(area, values, "o-")
        ax.set(xlabel="megapixels", ylabel=name, xlim=(0, None), ylim=(0, None))
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
