"""A folder of ground truth from the folders of several experts: labels, soft truth, agreement."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delineate.consensus.experts import ExpertFiles, find_experts
from delineate.consensus.image import fuse_image, rules_of_agreement
from delineate.consensus.masks import is_picture, read_mask
from delineate.consensus.settings import ConsensusSettings
from delineate.consensus.sizes import SameSize, of_one_size
from delineate.consensus.tables import ImageConsensus, Summary, summaries
from delineate.data.layouts import LABEL_SUFFIXES
from delineate.errors import DataError, DelineateError
from delineate.io import find_images, read
from delineate.runs.consensus_outputs import (
    ROOMS,
    SCHEMA,
    check_place,
    prepare,
    versions,
    write_json,
    write_report,
    write_result,
    write_tables,
)
from delineate.runs.consensus_remarks import Values, inside_values, remarks, values_note
from delineate.runs.layout import file_sha256, remove
from delineate.runs.lock import writing

if TYPE_CHECKING:
    from delineate.runs.predict import Listener

log = logging.getLogger("delineate")


@dataclass(frozen=True, eq=False)
class ConsensusRun:
    """What `consensus_folder` found: images done and failed, summaries, remarks on the whole.

    `soft` tells whether sensitivities are those of the soft truth.
    """

    folder: Path
    experts: tuple[str, ...]
    images: tuple[ImageConsensus, ...]
    failed: tuple[tuple[str, str], ...]
    single: Mapping[str, Summary]
    double: Mapping[tuple[str, str], Summary]
    remarks: tuple[str, ...] = ()
    soft: bool = False

    def lines(self) -> list[str]:
        """The experts against the estimate as text, one a line, means with 95 % intervals.

        No line where all images failed.
        """
        if not self.images:
            return []
        sensitivity = "soft sensitivity" if self.soft else "sensitivity"
        lines = [
            f"{'expert':<20} {'images':>6} {'compared':>8} {'objects':>8}  {sensitivity:<21} "
            f"{'Dice':<21} {'AP50':<21} mAP"
        ]
        for expert, found in self.single.items():
            cells = [
                f"{found.means[m].value:.3f} {found.means[m].bounds()}" if found.means[m].n else "–"
                for m in ("sensitivity", "dice", "ap50", "map")
            ]
            lines.append(
                f"{expert:<20} {found.images:>6} {found.compared:>8} {found.objects:>8}  "
                f"{cells[0]:<21} "
                f"{cells[1]:<21} {cells[2]:<21} {cells[3]}"
            )
        if self.double:
            mean = np.mean([found.means["dice"].value for found in self.double.values()])
            lines.append(f"mean Dice over {len(self.double)} pairs of experts: {mean:.3f}")
        left_out = sum(bool(image.agreement.uncounted) for image in self.images)
        if left_out:
            lines.append(
                f"agreement with the estimate is not counted in {left_out} of {len(self.images)} "
                "images, where it could only be perfect; see the notes in images.csv"
            )
        undecided = sum(image.undecided for image in self.images)
        lines.append(f"undecided pixels: {undecided:,}")
        return lines


def consensus_folder(
    experts: str | Path | Sequence[str | Path],
    out: str | Path,
    settings: ConsensusSettings | None = None,
    *,
    pattern: str | None = None,
    images: str | Path | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> ConsensusRun:
    """Fuse the masks of several experts, image by image, and write the folder of ground truth.

    `out` receives labels/, soft/, overlays/, experts.csv, agreement.csv, pairs.csv, images.csv,
    with objects objects.csv, consensus.json and report.html. An image with a bad mask is recorded
    with its error, and the others go on.

    Parameters
    ----------
    experts : folders of masks; see `delineate.consensus.experts.find_experts`.
    out : folder for the results.
    settings : how experts are fused.
    pattern : of file names where all experts are in one folder.
    images : folder of the images of the same names, shown in the report under the outlines.
    overwrite : replace the results of other settings.
    listener : hears how it goes on.

    Raises
    ------
    DataError : experts cannot be told apart, share no images, or one has pictures for masks.
    ReadError : a folder holds no files.
    WriteError : `out` is where masks or images lie, or holds results of other settings, or of
        something else; or another call is writing there.
    """
    settings, out, began = settings or ConsensusSettings(), Path(out), time.perf_counter()
    sources = [experts] if isinstance(experts, str | Path) else list(experts)
    found = find_experts([Path(s) for s in sources], pattern, LABEL_SUFFIXES)
    pictures = _pictures(images, found)
    check_place(out, sources, images, [*(p for f in found.files.values() for p in f.values()),
                                       *pictures.values()])  # fmt: skip
    _check_folders(found, settings)
    rules = [
        found.rule,
        *settings.rules(),
        *rules_of_agreement(settings.method, settings.objects, settings.undecided),
    ]
    for rule in rules:
        log.info("%s", rule)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    described = {
        **asdict(settings),
        "experts": [str(Path(s).resolve()) for s in sources],
        "pattern": pattern,
    }
    with writing(out):
        prepare(out, described, list(found.files), overwrite)
        done: list[ImageConsensus] = []
        failed: list[tuple[str, str]] = []
        records: list[dict[str, Any]] = []
        objects: list[dict[str, Any]] = []
        values: list[Values] = []
        for number, (name, files) in enumerate(found.files.items()):
            if listener:
                listener.image(name, number, len(found.files))
            record: dict[str, Any] = {"name": name, "status": "done", "error": None, "experts": {}}
            records.append(record)
            try:
                masks, left_out, note = _read_masks(files, settings, pictures.get(name))
                values.append({} if settings.objects else inside_values(masks))
                notes = [text for text in (note, values_note(values[-1])) if text]
                fusion = fuse_image(
                    name, masks, [e for e in found.experts if e not in masks], settings.method,
                    settings.classes, settings.objects, settings.support, settings.iou,
                    settings.undecided, notes,
                )  # fmt: skip
                write_result(out, fusion, masks, found.experts, pictures.get(name))
                record["experts"] = {
                    e: {"path": str(p.resolve()), "sha256": file_sha256(p), "kind": masks[e].kind,
                        "values": masks[e].values}
                    for e, p in files.items()
                    if e in masks
                }  # fmt: skip
                record["left_out"] = {e: str(files[e].resolve()) for e in left_out}
                done.append(fusion.result)
                objects += fusion.object_rows()
                outcome = _outcome(fusion.result)
            except Exception as error:
                log.debug("%s", name, exc_info=True)
                reason = _explain(error, name)
                failed.append((name, reason))
                record |= {"status": "failed", "error": reason}
                for room, suffix in ROOMS.items():  # nothing older may stand for it
                    remove(out / room / f"{name}{suffix}")
                outcome = f"failed: {reason}"
            if listener:
                listener.finished(name, outcome)
        single, double = summaries(done, found.experts)
        run = ConsensusRun(
            out, found.experts, tuple(done), tuple(failed), single, double,
            remarks(done, found.experts, "" if pictures else found.hint, values),
            settings.soft_performance,
        )  # fmt: skip
        write_tables(run, settings, objects)
        facts = {
            "schema": SCHEMA,
            "command": sys.argv,
            "started": started,
            "seconds": round(time.perf_counter() - began, 2),
            "settings": described,
            "images": None if images is None else str(Path(images).resolve()),
            "rules": rules,
            "remarks": run.remarks,
            "versions": versions(),
            "inputs": records,
        }
        write_json(out / "consensus.json", facts)
        write_report(run, settings, facts)
        return run


def _check_folders(found: ExpertFiles, settings: ConsensusSettings) -> None:
    """Raise where the files of an expert are pictures: the folders were swapped."""
    for expert in found.experts:
        files = [of[expert] for of in found.files.values() if expert in of]
        if all(is_picture(file, settings.axes) for file in {files[0], files[len(files) // 2]}):
            raise DataError(
                f"{expert}: {files[0]} is an image, not a mask (grey values change from pixel to "
                "pixel). Were folders swapped? Images go to --images"
            )


def _pictures(images: str | Path | None, found: ExpertFiles) -> dict[str, Path]:
    """Image files by name."""
    if images is None:
        return {}
    files = {file.name: file.path for file in find_images(images)}
    if not set(files) & set(found.files):
        raise DataError(
            f"{images}: shares no name with the masks; it has for instance {next(iter(files))}, "
            f"the experts have {next(iter(found.files))}"
        )
    return files


def _read_masks(
    files: Mapping[str, Path], settings: ConsensusSettings, picture: Path | None
) -> SameSize:
    """Masks of one image, of one size, by expert.

    Raises
    ------
    LabelError : their sizes differ, or one is no mask.
    """
    masks = {
        expert: read_mask(path, settings.classes, objects=settings.objects, axes=settings.axes)
        for expert, path in files.items()
    }
    differ = len({mask.pixels.shape for mask in masks.values()}) > 1
    image = _size(picture) if differ and picture is not None else None
    return of_one_size(masks, image, settings.skip_odd_sizes)


def _size(picture: Path) -> tuple[int, ...] | None:
    """Size of an image; None where it cannot be read."""
    try:
        return read(picture).spatial_shape
    except DelineateError:
        return None


def _outcome(image: ImageConsensus) -> str:
    told = "1 expert" if len(image.experts) == 1 else f"{len(image.experts)} experts"
    if not image.agreement.uncounted:
        told += f", Dice with the estimate {image.agreement.mean_dice:.3f}"
    if image.undecided:
        told += f", {image.undecided:,} undecided pixels"
    return told + (f" ({image.note})" if image.note else "")


def _explain(error: Exception, name: str) -> str:
    """What went wrong with an image; errors that are not ours are named by their type."""
    if isinstance(error, DelineateError):
        return str(error)
    return f"{name}: {type(error).__name__}: {error} (--debug shows where)"
