"""`delineate import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from delineate.cli.axes import axes_help
from delineate.cli.progress import RunProgress, say
from delineate.words import plural

if TYPE_CHECKING:
    from delineate.runs.import_tables import ImportSummary


def import_(
    source: Path,
    /,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    images: Path | None = None,
    like: Path | None = None,
    axes: Annotated[str | None, Parameter(help=axes_help("images"))] = None,
    nuclei: bool = False,
    changed_only: bool = False,
) -> int:
    """Make labels for training of outlines that were corrected in Fiji or QuPath.

    The whole loop: predict, export, correct the objects that come first in the list, save them
    under the same name, import, and train on. Images in which nothing was changed are perhaps those
    that nobody looked at, and as truth they would score the new model by the predictions of the
    old one: leave them out, unless all were looked at.

        delineate predict images -o out
        delineate export out --rois
        delineate import out/rois -o corrected --changed-only
        delineate train corrected/data.csv -o runs/better --from nuclei

    Outlines that were drawn from nothing, or lie elsewhere, need their images or their run:

        delineate import drawings -o data --images my-images
        delineate import for-qupath/geojson -o data --like out

    Writes labels/ (and classes/ where objects have classes), import.csv (what was added, removed
    and changed in each image, and which are untouched) and data.csv (images and labels, for
    `delineate train`). A file that cannot be used is reported and skipped; the exit status is then
    1.

    In Fiji: open the image and its zip in the ROI Manager, change outlines (then press Update),
    delete and add (press t), and save all under More » Save. Names may be changed; ROIs whose names
    hold the same id, as in id17, are one object, so that a piece that was cut off needs a new name;
    where no object is left, save a single point in the place of the zip. In QuPath: drag the
    GeoJSON onto the image, change the annotations, and use File » Export objects as GeoJSON. Where
    objects overlap, the smaller one has the pixels. Points and lines are left out.

    Parameters
    ----------
    source
        Folder of ROI zips, single .roi files, GeoJSON or outlines as text (x,y,x,y,…), named as
        their images; or one file. Text has lost the holes of objects, and which parts were one.
    out
        Folder for labels and tables.
    images
        The images: a file or a folder.
    like
        The run, or the labels, that the outlines were made of; by default the run in whose folder
        they lie. It tells shapes, images and classes, and what has changed.
    nuclei
        Of QuPath's cells take the nucleus instead of the whole cell.
    changed_only
        Leave out images whose objects are exactly as they were exported.
    """
    from delineate.runs.import_ import import_folder

    with RunProgress("importing") as progress:
        summary = import_folder(
            source,
            out,
            images,
            like,
            axes=axes,
            nuclei=nuclei,
            changed_only=changed_only,
            listener=progress,
        )
    for line in _lines(summary, out):
        say(line)
    return 1 if summary.failed else 0


def _lines(summary: ImportSummary, out: Path) -> list[str]:
    """What became of an import, in words."""
    lines = []
    if summary.joined:
        are = "object is" if summary.joined == 1 else "objects are"
        lines.append(
            f"{summary.joined} {are} of several pieces, since outlines of one id are one object; "
            f"one that was cut apart needs a new name for a piece, see {out / 'import.csv'}"
        )
    if summary.replaced:
        were = "outline was" if summary.replaced == 1 else "outlines were"
        lines.append(
            f"{summary.replaced} {were} replaced by a later one of the same id, see "
            f"{out / 'import.csv'}"
        )
    if summary.contested:
        lines.append(f"{plural(summary.contested, 'pixel')} in several objects went to the smaller")
    if summary.left_out:
        lines.append(f"{plural(summary.left_out, 'outline')} left out, see {out / 'import.csv'}")
    if summary.unclassified:
        lines.append(f"{plural(summary.unclassified, 'object')} without class")
    if summary.unreviewed:
        lines.append(f"{plural(summary.unreviewed, 'image')} without outlines, not imported")
    if summary.skipped:
        lines.append(f"{plural(summary.skipped, 'image')} exactly as exported, left out")
    if summary.untouched:
        lines.append(
            f"{plural(summary.untouched, 'image')} exactly as exported, perhaps never looked at: "
            "where nobody did, training takes predictions for truth and scores the new model by "
            "them; --changed-only leaves such images out"
        )
    changes = summary.changes
    counts = "" if changes is None else (
        f" ({changes.added} added, {changes.removed} removed, {changes.changed} changed, "
        f"{changes.unchanged} unchanged)"
    )  # fmt: skip
    where = summary.table or out / "labels"
    lines.append(
        f"{plural(summary.done, 'image')}, {plural(summary.objects, 'object')}{counts} → {where}"
    )
    if summary.failed:
        lines.append(
            f"delineate: {plural(summary.failed, 'file')} failed, see {out / 'import.csv'}"
        )
    return lines
