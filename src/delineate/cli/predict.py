"""`delineate predict`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from delineate.cli.axes import axes_help
from delineate.cli.progress import RunProgress, say
from delineate.words import plural

if TYPE_CHECKING:
    from delineate.inference.runner import RunOptions
    from delineate.runs.predict import Summary


def predict(
    images: str,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    model: str = "nuclei",
    diameter: str | None = None,
    axes: Annotated[str | None, Parameter(help=axes_help())] = None,
    channels: str | None = None,
    planes: str | None = None,
    times: str | None = None,
    scene: list[str] | None = None,
    threshold: float | None = None,
    flow_threshold: float | None = None,
    min_size: int | None = None,
    augment: bool = False,
    turns: int = 1,
    tile: int | None = None,
    batch: int | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    threads: int | None = None,
    uncertainty: bool = False,
    required: float | None = None,
    risk: float | None = None,
    keep_maps: bool = False,
    rois: bool = False,
    geojson: bool = False,
    outlines: bool = False,
    format: Literal["tif", "zarr"] = "tif",
    dtype: Literal["auto", "float32", "target"] = "auto",
    overwrite: bool = False,
    allow_imports: bool = False,
) -> int:
    """Segment or transform images with a model.

    Writes pictures (overlays/, and uncertainty/: where the model is unsure), images.csv, run.json
    and report.html into the output folder. A model of objects also writes labels/ and objects.csv,
    one of classes classes/ as well. A model of images (restoration, label-free, stains …) writes
    results/, in the units of its targets or of the image itself, and doubtful/, 1 where a pixel is
    too uncertain to be measured; a single pass tells that of some models only: add --turns 4.

    A run that was interrupted goes on when the same command is given again; given other images, it
    adds them. An image that cannot be read is reported and skipped; the exit status is then 1. Of a
    file that holds several images (LIF, ND2, CZI, OME-TIFF, OME-Zarr) all are taken, each as
    NAME-SCENE.

        delineate predict cells.tif -o out
        delineate predict plate1/ -o out --diameter 25
        delineate predict "scans/*.ome.tif" -o out --diameter 8um --rois
        delineate predict stack.tif -o out --axes ZYX --model runs/mine/model
        delineate predict noisy/ -o out --model runs/restored/model --turns 4

    Parameters
    ----------
    images
        A file, a folder (with its sub-folders), a pattern in quotes, or a zarr. Of a data set, with
        images/ beside labels/, targets/ or masks/, only images/ is taken; label images that lie
        beside their image (a_masks.tif beside a.tif) are left out.
    out
        Folder for the results.
    model
        Name of a model of the package, or the folder of one.
    diameter
        Of models of objects: their diameter in pixels (25), or with a unit (8um) for images that
        know their pixel size. By default the model finds it for each image.
    channels
        Channels to use, counted from 0: 2 or 0,1,2. By default those that the model was trained
        on (`data.channels`).
    planes
        Planes of Z to use, counted from 0: 4 or 3,4,5. By default those of the training
        (`data.planes`).
    times
        Time points of movies to predict, counted from 0. By default all.
    scene
        Name or number (from 0) of the image to take of files that hold several; give it once for
        each. By default all are taken; delineate info lists them.
    threshold
        Of models of objects: probability above which a pixel is inside one.
    flow_threshold
        Of models of objects by flows: those whose flow error is larger are dropped; higher keeps
        more.
    min_size
        Of models of objects: those of fewer pixels are dropped.
    augment
        Overlap tiles by half and mirror them in turn, and a single tile in every way: about four
        times slower, often better.
    turns
        Passes over each tile, each mirrored or turned in another way (4 or 8 in 2D): their spread
        shows where the model is unsure.
    tile
        Largest side of a tile; smaller needs less memory.
    batch
        Tiles at a time.
    device
        auto, cpu, cuda, cuda:1 or mps.
    precision
        auto takes bf16 where the processor computes it in hardware.
    threads
        Threads of the processor to use; by default all.
    uncertainty
        Also write maps of uncertainty: predictive, aleatoric and epistemic variance. Of objects and
        classes those of probabilities, 0 to 0.25, with entropy and mutual information; of images
        those of each channel, in its units squared, and with CycleGAN the error of there and back
        in cycle/.
    required
        Score that is good enough, 0 to 1 (0.8: mean AP, Dice or, of images, Pearson's correlation,
        as the model was scored): images
        whose uncertainty does not vouch for it are marked "verify", as are images unlike the
        training images. All reference images of so little uncertainty as an accepted one were good
        enough.
    risk
        Share of the accepted images that may miss the required score, such as 0.2: fewer need a
        person. See `delineate review --help`.
    keep_maps
        Keep the network's maps, for `delineate decode`. Not of models of images.
    rois
        Also write an ImageJ ROI zip of the objects of each image.
    geojson
        Also write the objects as GeoJSON for QuPath.
    outlines
        Also write outlines as text, one object a line: without holes, each part a line of its own.
    format
        Of labels, classes, results and masks of doubt: TIFF or OME-Zarr. TIFF opens in ImageJ and
        Fiji.
    dtype
        Type of the pixels of results that are images: float32, which keeps all digits, or that of
        the targets (target), rounded where these are integers. auto takes that of the targets for
        colour pictures, so that programs show them in colour, else float32.
    overwrite
        Replace the results of an earlier run with other settings, or of other images of the same
        names.
    allow_imports
        Allow a model to import its network, method or regime from outside the package.
    """
    from delineate.model import load
    from delineate.runs.outputs import Outputs
    from delineate.runs.predict import Settings, predict_folder
    from delineate.runs.predict_files import find_work

    use_threads(threads)
    loaded = load(model, allow_imports=allow_imports)
    decoding: dict[str, Any] = {
        "threshold": threshold,
        "flow_threshold": flow_threshold,
        "min_size": min_size,
    }
    settings = Settings(
        diameter=diameter,
        axes=axes,
        channels=parse_channels(channels),
        planes=parse_numbers(planes, "--planes"),
        times=parse_numbers(times, "--times"),
        dtype=dtype,
        run=run_options(
            tile=tile,
            batch=batch,
            augment=augment,
            turns=turns,
            device=device,
            precision=precision,
        ),
        decoding={k: v for k, v in decoding.items() if v is not None},
        required=required,
        risk=risk,
    )
    outputs = Outputs(
        maps=keep_maps,
        uncertainty=uncertainty,
        rois=rois,
        geojson=geojson,
        outlines=outlines,
        format=format,
    )
    work = find_work(images, out, scene or ())
    for note in work.notes:
        say(note)
    with RunProgress("predicting") as progress:
        summary = predict_folder(
            loaded, work, out, settings, outputs, overwrite=overwrite, listener=progress
        )
    return conclude(summary, out)


def conclude(summary: Summary, out: Path) -> int:
    """Say what became of a run; the exit status."""
    report = out / "report.html"
    count = summary.done + summary.failed
    if summary.simplified:
        say(simplified_line(summary.simplified, summary.simplified_images))
    if summary.before == count:
        say(f"nothing to do, {plural(count, 'image')} done before → {report}")
    else:
        before = f" ({summary.before} done before)" if summary.before else ""
        objects = f", {plural(summary.objects, 'object')}" if summary.objects is not None else ""
        say(f"{plural(summary.done, 'image')}{before}{objects} → {report}")
    if summary.earlier:
        stay = "stays" if summary.earlier == 1 else "stay"
        images = plural(summary.earlier, "image")
        say(f"{images} of earlier calls {stay} in {out}, in its tables and its report")
    for line in summary.verdicts:
        say(line)
    if summary.failed:
        say(f"delineate: {plural(summary.failed, 'image')} failed, see {out / 'images.csv'}")
    return 1 if summary.failed else 0


def simplified_line(objects: int, images: int) -> str:
    """What outlines as text have lost."""
    return (
        "outlines as text hold neither holes nor several parts of an object: "
        f"{plural(objects, 'object')} in {plural(images, 'image')} simplified; --rois and "
        "--geojson keep them"
    )


def run_options(**values: Any) -> RunOptions:
    """How networks are run.

    Raises
    ------
    ModelError : a value is out of range.
    """
    from pydantic import ValidationError

    from delineate.errors import ModelError
    from delineate.inference.runner import RunOptions

    try:
        return RunOptions(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(f"--{first['loc'][0]} {first['input']}: {first['msg']}") from error


def parse_channels(text: str | None) -> tuple[int, ...] | None:
    """Channels: ``"0,2"`` → (0, 2).

    Raises
    ------
    ImageError : not numbers.
    """
    return parse_numbers(text, "--channels")


def parse_numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """Numbers of an option: ``"0,2"`` → (0, 2).

    Raises
    ------
    ImageError : not numbers.
    """
    from delineate.errors import ImageError

    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ImageError(f"{option} {text}: expected numbers such as 0 or 0,2") from error


def use_threads(threads: int | None) -> None:
    """Limit torch and numba to so many threads.

    Raises
    ------
    DelineateError : fewer than one.
    """
    from delineate.errors import DelineateError

    if threads is None:
        return
    if threads < 1:
        raise DelineateError(f"--threads {threads}: expected 1 or more")
    os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)
