"""`delineate evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from delineate.cli.axes import axes_help
from delineate.cli.progress import RunProgress, say
from delineate.words import plural

if TYPE_CHECKING:
    from delineate.runs.evaluate import Evaluation
    from delineate.runs.evaluate_images import ImageEvaluation
    from delineate.runs.segmenter import Segmenter


def evaluate(
    predicted: Path,
    truth: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    min_size: int = 0,
    tolerance: float = 2.0,
    classes: int | None = None,
    images: bool = False,
    data_range: float | None = None,
    axes: Annotated[str | None, Parameter(help=axes_help("true images"))] = None,
    truth_channels: str | None = None,
    truth_planes: str | None = None,
    segment: str | None = None,
    channels: str | None = None,
    allow_imports: bool = False,
) -> int:
    """Score predicted labels, or predicted images, against true ones.

    Writes scores.csv (an image a row), summary.csv (means over images and pooled scores, each with
    the number of images and, of several, a 95 % bootstrap interval) and scores.png. Files that
    cannot be scored are named in scores.csv and leave the exit status 1. Of images each channel is
    scored: PSNR, SSIM, Pearson, NRMSE, and PSNR and SSIM after the best brightness and contrast.

        delineate evaluate out truth/labels
        delineate evaluate out/labels truth -o scores --min-size 20
        delineate evaluate masks/ true-masks/ --classes 2
        delineate evaluate out clean/ --segment nuclei
        delineate evaluate denoised/ clean/ --images
        delineate evaluate out stained/ --truth-channels 1

    Parameters
    ----------
    predicted
        A folder of a run, or a folder of label files or images, or one file.
    truth
        A folder of label files with the same names (or names ending in _masks, _labels …), or of
        images (or names ending in _GT), or one file, or a folder that holds images/ and labels/, or
        images/ and targets/. Some images may lack theirs: they are told, and the others scored.
    out
        Folder for the tables and the picture; by default the folder of the run, or for other
        predictions a folder beside them whose name ends in -scores.
    min_size
        Objects of fewer pixels are left out, of truth and prediction alike.
    tolerance
        Distance in pixels within which a boundary counts as found, for the boundary F score.
    classes
        The files hold so many classes, background among them (2: masks), instead of ids of
        objects: Dice and IoU are scored. A run of a semantic model says so itself.
    images
        The files are images, not labels. A run of a model that makes images says so itself.
    data_range
        Span of the values of pixels for PSNR and SSIM, such as 255; by default that of each true
        image.
    truth_channels
        Channels of the true images that the predicted ones are of, counted from 0: 2 or 0,1; by
        default those that the model of the run learned to make.
    truth_planes
        The same of planes of Z. Where the predicted images have no Z, planes serve as channels.
    segment
        Also segment predicted and true images with this model (a name or folder), and score how
        far their objects agree.
    channels
        Channels of the images that the segmenting model is given, counted from 0: 2 or 0,1,2.
    allow_imports
        Import what the model of the run, or the segmenting one, names from outside the package.
    """
    from delineate.runs.image_pairs import gives_images

    images = images or gives_images(predicted)
    for_images: dict[str, object] = {
        "--data-range": data_range,
        "--axes": axes,
        "--truth-channels": truth_channels,
        "--truth-planes": truth_planes,
        "--segment": segment,
        "--channels": channels,
    }
    _suit(images, for_images, classes, segment is not None)
    is_run = (predicted / "run.json").exists()
    folder = out or (predicted if is_run else _beside(predicted))
    with RunProgress("scoring") as progress:
        summary: Evaluation | ImageEvaluation
        if images:
            from delineate.runs.evaluate_images import evaluate_images

            segmenter = None
            if segment is not None:
                segmenter = _segmenter(segment, channels, min_size, tolerance, allow_imports)
            summary = evaluate_images(
                predicted,
                truth,
                folder,
                data_range=data_range,
                axes=axes,
                truth_channels=_numbers("--truth-channels", truth_channels),
                truth_planes=_numbers("--truth-planes", truth_planes),
                segmenter=segmenter,
                listener=progress,
            )
        else:
            from delineate.runs.evaluate import evaluate_folder

            summary = evaluate_folder(
                predicted,
                truth,
                folder,
                min_size=min_size,
                tolerance=tolerance,
                classes=classes,
                allow_imports=allow_imports,
                listener=progress,
            )
    for line in summary.lines():
        print(line)
    say(f"tables and picture → {folder}")
    if summary.failed:
        count = plural(len(summary.failed), "image")
        say(f"delineate: {count} could not be scored, see {folder / 'scores.csv'}")
    return 1 if summary.failed else 0


def _numbers(option: str, text: str | None) -> tuple[int, ...] | None:
    """``"0,2"`` → (0, 2).

    Raises
    ------
    DelineateError : not numbers.
    """
    from delineate.errors import DelineateError

    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise DelineateError(f"{option} {text}: expected numbers such as 0 or 0,2") from error


def _beside(predicted: Path) -> Path:
    """The folder for the scores of files that are no run: beside them, also of ``.`` and ``..``.

    Raises
    ------
    DelineateError : it has no name, as the root of a disk.
    """
    from delineate.errors import DelineateError

    named = predicted.resolve() if predicted.name in ("", "..") else predicted
    if not named.name:
        raise DelineateError(f"{predicted}: say with --out where the scores are to go")
    return named.with_name(f"{named.stem}-scores")


def _suit(images: bool, for_images: dict[str, object], classes: int | None, segments: bool) -> None:
    """Check that the options suit what is scored.

    Raises
    ------
    DelineateError : one does not.
    """
    from delineate.errors import DelineateError

    given = [name for name, value in for_images.items() if value is not None]
    if given and not images:
        raise DelineateError(f"{given[0]} is for images, not labels: add --images if they are")
    if images and classes is not None:
        raise DelineateError("--classes is for labels, but images are scored here: leave it out")
    if "--channels" in given and not segments:
        raise DelineateError("--channels says what --segment is given: name a model by --segment")


def _segmenter(
    model: str, channels: str | None, min_size: int, tolerance: float, allow_imports: bool
) -> Segmenter:
    """The model that segments predicted and true images."""
    from delineate.cli.predict import parse_channels
    from delineate.model import load
    from delineate.runs.segmenter import Segmenter

    loaded = load(model, allow_imports=allow_imports)
    return Segmenter(loaded, parse_channels(channels), min_size, tolerance)
