"""Images of five axes (T, C, Z, Y, X) through `delineate predict`: does everything come back?

python benchmarks/five_axes.py DATA [RUN...]

DATA holds timelapse/mitocheck.tif (TYX) and volumes/ovule-nuclei/images/*.tif (ZYX). From them a
movie of two channels of volumes is made, whose axes have five different lengths, with pixel sizes
and channel names, as OME-TIFF and as OME-Zarr. It is predicted on the command line by the bundled
model `nuclei` and by the models of RUNs that make images, in 2D or 3D; where none is given, by one
that is trained for two steps first (recipe restoration-3d), which is enough for axes:

    delineate predict FOLDER/movie.ome.tif -o OUT --model RUN/model --channels 0 --format tif

The results are opened with tifffile and zarr, not with our own reader, and their axes, lengths,
type, pixel size and unit are held against those of the input. That time points are worked on one by
one is checked by predicting the second alone. The exit status is 1 where anything differs.
"""

import argparse
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
import zarr
from scipy.ndimage import gaussian_filter

from delineate.image import Image
from delineate.io import read, write_image
from delineate.model import Model, load
from showing import header, row

SIZES = {"T": 3, "C": 2, "Z": 10, "Y": 96, "X": 88}
PIXEL = {"Z": 0.5, "Y": 0.25, "X": 0.2}
UNIT = "µm"
CHANNELS = ("ovule", "cells")
SECOND = 1
"""The time point that is also predicted alone."""


class Found(NamedTuple):
    """What a file says of itself, read by other libraries than ours; axes of length 1 left out."""

    axes: str
    shape: tuple[int, ...]
    dtype: str
    pixel_size: dict[str, float]
    units: set[str]
    channels: tuple[str, ...]
    pixels: np.ndarray


class Checks:
    """Prints each check as a row of a table, and counts what failed."""

    def __init__(self) -> None:
        self.failed = 0

    def __call__(self, what: str, expected: object, found: object) -> None:
        right = expected == found
        self.failed += not right
        row(what, found, "yes" if right else f"NO, expected {expected}")


def movie(data: Path, depth: int = SIZES["Z"]) -> Image:
    """T, C, Z, Y, X: a volume that drifts, and a movie that is blurred off the middle plane."""
    t, _, _, y, x = SIZES.values()
    volume = read(next((data / "volumes" / "ovule-nuclei" / "images").glob("*.tif")), axes="ZYX")
    frames = read(data / "timelapse" / "mitocheck.tif", axes="TYX").numpy()
    pixels = np.zeros((t, 2, depth, y, x), np.uint8)
    for time in range(t):
        pixels[time, 0] = volume.numpy()[20 + time : 20 + time + depth, :y, 2 * time : 2 * time + x]
        frame = frames[9 * time, 40 : 40 + y, 60 : 60 + x].astype(np.float32)
        for z in range(depth):
            pixels[time, 1, z] = gaussian_filter(frame, abs(z - depth / 2) / 2)
    return Image(pixels, "TCZYX", PIXEL, UNIT, CHANNELS)


def say(*arguments: object) -> None:
    """Run a command of ours in a process of its own, as a user does."""
    command = ["delineate", *map(str, arguments)]
    done = subprocess.run(
        [sys.executable, "-m", "delineate.cli", *command[1:]], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nfailed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def opened(path: Path) -> Found:
    return opened_zarr(path) if path.suffix == ".zarr" else opened_tiff(path)


def opened_zarr(path: Path) -> Found:
    group = zarr.open_group(str(path), mode="r")
    scales = dict(group.attrs)["ome"]["multiscales"][0]
    first = scales["datasets"][0]
    pixels = np.asarray(group[first["path"]][...])
    names = [axis["name"].upper() for axis in scales["axes"]]
    factors = first["coordinateTransformations"][0]["scale"]
    units = {a.get("unit") for a in scales["axes"] if a["type"] == "space"}
    return described(
        pixels,
        "".join(names),
        {a: f for a, f in zip(names, factors, strict=True) if a in "ZYX"},
        {UNIT if u == "micrometer" else str(u) for u in units},
        tuple(c["label"] for c in dict(group.attrs)["ome"].get("omero", {}).get("channels", ())),
    )


def opened_tiff(path: Path) -> Found:
    """OME-TIFF, or the TIFF of ImageJ that labels are written as."""
    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        pixels, axes, names = series.asarray(), series.axes, ()
        if tiff.is_ome:
            tree = ElementTree.fromstring(tiff.ome_metadata or "")
            known = next(e for e in tree.iter() if e.tag.endswith("}Pixels")).attrib
            sizes = {
                a: float(known[f"PhysicalSize{a}"]) for a in "ZYX" if f"PhysicalSize{a}" in known
            }
            units = {known.get(f"PhysicalSize{a}Unit", UNIT) for a in sizes}
            named = [e.get("Name") for e in tree.iter() if e.tag.endswith("}Channel")]
            names = tuple(n for n in named if n)
        else:
            about, tags = tiff.imagej_metadata or {}, tiff.pages.first.tags
            sizes = {
                a: tags[f"{a}Resolution"].value[1] / tags[f"{a}Resolution"].value[0] for a in "YX"
            }
            sizes |= {"Z": float(about["spacing"])} if "spacing" in about else {}
            units = {UNIT if about.get("unit") in ("um", "micron") else str(about.get("unit"))}
    return described(pixels, axes, sizes, units, names)


def described(
    pixels: np.ndarray,
    axes: str,
    sizes: dict[str, float],
    units: set[str],
    channels: tuple[str, ...],
) -> Found:
    kept = "".join(a for a, n in zip(axes, pixels.shape, strict=True) if n > 1)
    pixels = pixels.squeeze()
    sizes = {a: round(float(sizes[a]), 5) for a in "ZYX" if a in sizes and a in kept}
    return Found(kept, pixels.shape, str(pixels.dtype), sizes, units, channels, pixels)


def check(checks: Checks, name: str, model: Model, image: Image, folder: Path) -> None:
    """Predict a movie with a model, as TIFF and as Zarr, and hold the results against it."""
    image_method = model.recipe.method.truth == "image"
    flat = model.recipe.data.z_channels
    axes = "".join(a for a in "TCZYX" if not (a == "Z" and flat))
    out_channels = model.recipe.method.channels if image_method else 1
    sizes = {**image.sizes, "C": out_channels}
    axes = "".join(a for a in axes if sizes[a] > 1)
    room = "results" if image_method else "labels"
    needed = model.description.in_channels // (sizes["Z"] if flat else 1)
    chosen = ",".join(map(str, range(needed))) if needed < SIZES["C"] else "0,1"
    options = ["--channels", "0" if not image_method else chosen]
    results = {}
    for kind, ending in (("tif", ".tif"), ("zarr", ".ome.zarr")):
        source = folder / f"movie.ome.{kind}"
        out = folder / f"{name}-{kind}"
        where = source if model.source is None else model.source
        say("predict", source, "-o", out, "--model", where, "--format", kind, *options)
        file = next(p for p in (out / room).iterdir() if p.name.endswith(ending))
        found = results[kind] = opened(file)
        about = f"{name}, from and to {kind}:"
        checks(f"{about} axes", axes, found.axes)
        checks(f"{about} lengths", tuple(sizes[a] for a in axes), found.shape)
        checks(
            f"{about} pixel size", {a: s for a, s in PIXEL.items() if a in axes}, found.pixel_size
        )
        checks(f"{about} unit", {UNIT}, found.units)
        if image_method:
            checks(f"{about} type", "float32", found.dtype)
            names = model.description.target.channels
            checks(f"{about} names of channels", names, found.channels if names else ())
            checks(f"{about} finite", True, bool(np.isfinite(found.pixels).all()))
        else:
            ids = [set(np.unique(p)) - {0} for p in found.pixels]
            checks(f"{about} ids of no two time points are equal", 0, len(ids[0] & ids[1]))
    same = np.array_equal(results["tif"].pixels, results["zarr"].pixels)
    checks(f"{name}, results as TIFF and as Zarr are equal", True, same)
    alone = folder / "alone.ome.tif"
    write_image(alone, image.select(T=SECOND))
    say("predict", alone, "-o", folder / f"{name}-alone", "--model", where, *options)
    single = opened(next((folder / f"{name}-alone" / room).iterdir())).pixels
    whole = results["tif"].pixels[SECOND]
    if image_method:
        apart = float(np.abs(single - whole).max() / max(np.ptp(whole), 1e-9))
        about = f"{name}, a time point alone differs by {apart:.0e} of the range at most:"
        checks(f"{about} less than 1e-4", True, apart < 1e-4)
    else:
        first = whole[whole > 0].min(initial=np.iinfo(whole.dtype).max) - 1
        equal = np.array_equal(np.where(whole > 0, whole - first, 0), single)
        checks(f"{name}, a time point alone has the same labels", True, equal)


def tiny(data: Path, folder: Path) -> Path:
    """A model of volumes trained for two steps: noisy volumes, and the same without the noise."""
    rng = np.random.default_rng(0)
    files = sorted((data / "volumes" / "ovule-nuclei" / "images").glob("*.tif"))
    for path in files:
        clean = read(path, axes="ZYX").numpy()[:32, :80, :80].astype(np.float32)
        noisy = clean + rng.normal(0, 20, clean.shape).astype(np.float32)
        for kind, pixels in (("images", noisy), ("targets", clean)):
            (folder / "pairs" / kind).mkdir(parents=True, exist_ok=True)
            write_image(folder / "pairs" / kind / path.name, Image(pixels, "ZYX"))
    run = folder / "tiny"
    few = ["--train.steps", 2, "--train.batch", 1, "--train.patch", "8,32,32"]
    few += ["--train.precision", "fp32"]
    say("train", "restoration-3d", "--data.images", folder / "pairs", "-o", run, *few)
    return run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, nargs="*")
    args = parser.parse_args()
    checks = Checks()
    header("what", "found", "right")
    with tempfile.TemporaryDirectory() as temporary:
        runs = args.runs or [tiny(args.data, Path(temporary))]
        models = [("nuclei", load("nuclei")), *((r.name, load(r / "model")) for r in runs)]
        for number, (name, model) in enumerate(models):
            folder = Path(temporary) / str(number)
            folder.mkdir()
            depth = SIZES["Z"]
            if model.recipe.data.z_channels:
                depth = model.description.in_channels
            image = movie(args.data, depth)
            for kind in ("tif", "zarr"):
                write_image(folder / f"movie.ome.{kind}", image)
            check(checks, name, model, image, folder)
    print(f"\n{checks.failed or 'No'} differences")
    sys.exit(bool(checks.failed))


if __name__ == "__main__":
    main()
