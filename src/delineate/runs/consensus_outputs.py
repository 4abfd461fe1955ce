"""The folder that a consensus leaves: claimed, filled image by image, tables, record, report."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delineate.consensus.image import Fusion
from delineate.consensus.masks import Mask
from delineate.consensus.settings import ConsensusSettings
from delineate.consensus.tables import (
    agreement_table,
    as_table,
    experts_table,
    images_table,
    pairs_table,
)
from delineate.errors import DelineateError, WriteError
from delineate.image import Image
from delineate.io import atomic_path, read, write_image, write_labels, write_table
from delineate.runs.layout import STATE, read_json, remove

if TYPE_CHECKING:
    from delineate.runs.consensus import ConsensusRun

log = logging.getLogger("delineate")

SCHEMA = 1
ROOMS = {"labels": ".tif", "soft": ".tif", "overlays": ".jpg"}
TABLES = ("experts.csv", "agreement.csv", "pairs.csv", "images.csv", "objects.csv",
           "consensus.json", "report.html")  # fmt: skip


def check_place(
    out: Path, sources: Sequence[str | Path], images: str | Path | None, files: Iterable[Path]
) -> None:
    """Refuse a folder for the results in which masks or images lie.

    Parameters
    ----------
    out : the folder.
    sources, images : folders of the masks, and of the images.
    files : all masks and images.

    Raises
    ------
    WriteError : it is one of these folders or lies in one, with files in it; or a file lies in it
        itself, or where results go.
    """
    place = out.resolve()
    given = [Path(s).resolve() for s in (*sources, *([] if images is None else [images]))]
    is_inside = any(place.is_relative_to(folder) for folder in given)
    for file in files:
        path = file.resolve()
        if not path.is_relative_to(place):
            continue
        if is_inside or path.parent == place or path.relative_to(place).parts[0] in ROOMS:
            raise WriteError(
                f"{out}: masks or images lie there ({file}), results would be mixed with them: "
                "choose another folder for the ground truth (-o)"
            )


def prepare(out: Path, described: dict[str, Any], names: list[str], overwrite: bool) -> None:
    """Claim the folder, and remove what an earlier consensus left there.

    Raises
    ------
    WriteError : it holds results of other settings, or labels that no consensus wrote.
    """
    state = out / STATE / "consensus.json"
    earlier = read_json(state)
    described = json.loads(json.dumps(described))
    if earlier is None:
        labels = out / "labels"
        if (out / "run.json").exists() or (labels.is_dir() and any(labels.iterdir())):
            raise WriteError(
                f"{out} holds results of something else, which are not overwritten: choose another "
                "folder for the ground truth"
            )
    else:
        before = earlier["settings"]
        changed = [k for k, v in described.items() if before.get(k) != v]
        if changed and not overwrite:
            raise WriteError(
                f"{out} holds a consensus with other settings ({', '.join(changed)}): choose "
                "another folder, or --overwrite"
            )
        stale = earlier["images"] if changed else set(earlier["images"]) - set(names)
        for name in stale:
            for room, suffix in ROOMS.items():
                remove(out / room / f"{name}{suffix}")
        for table in TABLES:
            remove(out / table)
    for room in ROOMS:
        for partial in [*(out / room).rglob(".*.partial*")]:
            remove(partial)  # what a run that was killed was writing
    write_json(state, {"settings": described, "images": names})


def write_result(
    out: Path,
    fusion: Fusion,
    masks: Mapping[str, Mask],
    experts: Sequence[str],
    picture: Path | None,
) -> None:
    """Write hard and soft truth and the picture of one image."""
    from delineate.review.agreement_pictures import write_agreement_picture

    name, like = fusion.result.name, next(iter(masks.values())).image
    labels = out / "labels" / f"{name}.tif"
    labels.parent.mkdir(parents=True, exist_ok=True)
    write_labels(labels, fusion.labels, like)
    soft, axes = fusion.soft, like.axes
    channels: tuple[str, ...] = ()
    if soft.ndim > len(axes):
        channels = ("background", *(f"class {k}" for k in range(1, len(soft))))
        axes = f"C{axes}"
    path = out / "soft" / f"{name}.tif"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, Image(soft, axes, like.pixel_size, like.unit, channels))
    shown = None if picture is None else _shown(picture, like)
    write_agreement_picture(
        out / "overlays" / f"{name}.jpg",
        {experts.index(e): own.labels for e, own in fusion.annotations.items()},
        fusion.estimate.labels,
        like if shown is None else shown,
        is_picture=shown is not None,
    )


def _shown(path: Path, like: Image) -> Image | None:
    """The image under the outlines; None, and a warning, where it cannot be shown."""
    try:
        image = read(path)
    except DelineateError as error:
        log.warning("the image is not shown in the report: %s", error)
        return None
    if "T" in image.axes:
        image = image.select(T=0)
    if image.spatial_shape != like.spatial_shape:
        log.warning(
            "%s: is not shown in the report, since its size %s is not that of the masks %s",
            path, image.spatial_shape, like.spatial_shape,
        )  # fmt: skip
        return None
    return image


def write_tables(
    run: ConsensusRun, settings: ConsensusSettings, objects: Sequence[Mapping[str, Any]]
) -> None:
    """Write experts.csv, agreement.csv, pairs.csv, images.csv and, of objects, objects.csv."""
    total = len(run.images) + len(run.failed)
    write_table(run.folder / "experts.csv", experts_table(run.single, total))
    write_table(run.folder / "agreement.csv", agreement_table(run.images))
    write_table(run.folder / "pairs.csv", pairs_table(run.double))
    write_table(run.folder / "images.csv", images_table(run.images, run.failed))
    if settings.objects:
        write_table(run.folder / "objects.csv", as_table(objects, ("image", "label", "support")))


def versions() -> dict[str, str]:
    """Versions of what decides the result."""
    from importlib.metadata import version

    from delineate import __version__

    return {"delineate": __version__, **{k: version(k) for k in ("numpy", "scipy", "scikit-image")}}


def write_json(path: Path, value: Any) -> None:
    """Write a record under a temporary name and move it into place."""
    with atomic_path(path) as temporary:
        text = json.dumps(value, indent=1, ensure_ascii=True)
        temporary.write_text(text, encoding="utf-8")


def write_report(run: ConsensusRun, settings: ConsensusSettings, facts: Mapping[str, Any]) -> None:
    """Write report.html."""
    from delineate.review.agreement import AgreementReport, write_agreement_report

    write_agreement_report(
        AgreementReport(
            run.folder,
            run.experts,
            run.images,
            run.failed,
            run.single,
            run.double,
            settings.method,
            settings.objects,
            facts,
            run.soft,
        )
    )
