"""Review a finished run: judge it anew, hold it against truth and experts, write its report again.

Nothing is predicted. What each image gave lies in the run's own state, so that every file written
here can be made again: a review that was stopped is simply given once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from delineate.consensus.experts import find_experts
from delineate.data.layouts import LABEL_SUFFIXES
from delineate.errors import DataError, ModelError
from delineate.io import write_table
from delineate.labels import Table
from delineate.review.report import write_report
from delineate.review.run_trust import COMPARISON, EXPERTS, MODEL, metric_name
from delineate.runs.layout import CURVE, RANKING, SCORES, remove, write_json
from delineate.runs.lock import alone
from delineate.runs.quality import Judge, check_asked, novel
from delineate.runs.review_calibration import (
    calibration_facts,
    with_calibration,
)
from delineate.runs.review_found import Review
from delineate.runs.review_scores import Scorer, Scores, predicted_files, true_files
from delineate.runs.review_state import Checked, Finished, counted, read_finished
from delineate.runs.review_tables import (
    beside_table,
    curve_table,
    experts_table,
    rank_scores,
    ranking_table,
    rows_of,
    scores_table,
    truth_facts,
)
from delineate.runs.tables import plain, write_images

if TYPE_CHECKING:
    from delineate.runs.predict import Listener


@alone(make=False)
def review_folder(
    out: str | Path,
    *,
    required: float | None = None,
    risk: float | None = None,
    truth: str | Path | None = None,
    experts: Sequence[str | Path] = (),
    pattern: str | None = None,
    allow_imports: bool = False,
    listener: Listener | None = None,
) -> Review:
    """Write images.csv, run.json ("quality", "review") and report.html of a finished run anew.

    With truth also review-scores.csv (Dice, AP50 and mAP of each image), review-ranking.csv (how
    well uncertainty ranks the scores) and review-curve.csv (risk–coverage, and what checking the
    most uncertain images first finds); with experts also review-experts.csv (scores of model and
    experts for each image) and review-comparison.csv (the model beside each expert). What is not
    given stays as an earlier review left it; but new truth does away with experts that were held
    against the old one. Nothing is written before all files have been read.

    Parameters
    ----------
    out : folder of a run.
    required : score that is good enough, in [0, 1]: decides the verdicts, and which images failed.
    risk : share of the accepted images that may miss it, see
        `delineate.uncertainty.thresholds.within_risk`; None: U_min decides, or, where no score is
        required either, what decided before.
    truth : label files, or class images of a semantic model, of the same names as the images.
        Some images may lack theirs.
    experts : folders of masks, see `delineate.consensus.experts.find_experts`; they are held
        against the truth, that of an earlier review where none is given.
    pattern : of file names where the masks of all experts are in one folder.
    allow_imports : whether the method of the run may be imported from outside the package.
    listener : hears how it goes on.

    Raises
    ------
    ReadError : the folder holds no finished run, or a file of it is missing.
    ModelError : a score is required, but there is neither a reference nor truth; or there is a
        risk and no reference.
    DelineateError : the score or the risk is out of range, or there is a risk without a score.
    DataError : names do not match, or experts are given without truth.
    LabelError : a file has another shape than its image, or is no label file; it is named.
    WriteError : a file cannot be written, or another process is writing there.
    """
    run = read_finished(Path(out), allow_imports=allow_imports)
    if (run.folder / "results").is_dir() and (truth is not None or experts):
        raise DataError(
            f"{run.folder} holds images, not labels: score them with delineate evaluate "
            f"{run.folder} TRUTH, which also shows the scores in the report"
        )
    judge, checked = run.judge(required, risk), run.checked()
    check_asked(judge.required if judge else required, risk)
    if judge is None and risk is not None:
        raise ModelError(
            f"{run.folder}: its model has no reference images, or none that were decoded like "
            "these, by which a risk could be known: leave --risk out"
        )
    if judge is None and required is not None and truth is None and checked is None:
        raise ModelError(
            f"{run.folder}: its model has no reference images, or none that were decoded like "
            "these, so that no uncertainty is known to mean a bad result: leave --required out, or "
            "give --truth"
        )
    if experts and truth is None and checked is None:
        raise DataError(
            "experts and model are compared on images whose truth is known: add --truth, for "
            "instance the folder that `delineate consensus` wrote"
        )
    if truth is not None:
        checked = _hold_against(run, Path(truth), judge, listener)
    if checked is not None:
        checked = checked.requiring(judge.required if judge else required)
    annotators: dict[str, dict[str, Scores]] = {}
    if experts and checked is not None:
        files = true_files(Path(checked.path), list(checked.scores))
        annotators = _score_experts(run, experts, pattern, files, listener)
    facts, tables = _facts(run, checked, annotators, experts, truth is not None)
    for name, table in tables.items():
        if table is None:
            remove(run.folder / name)
        else:
            write_table(run.folder / name, table)
    rows = _write(run, judge, checked, facts)
    verify, unknown = None, 0
    strange = sum(novel(row) for row in rows if row["status"] == "done")
    if judge is not None and judge.required is not None:
        verify = sum(row.get("verdict") == "verify" for row in rows)
        unknown = sum(row["status"] == "done" and not row.get("verdict") for row in rows)
    comparison = tables.get(COMPARISON)
    return Review(
        run.folder,
        len(run.names),
        verify,
        run.record.get("quality"),
        facts.get("truth"),
        rows_of(comparison, checked.metric) if comparison is not None and checked else (),
        unknown,
        strange,
    )


def _facts(
    run: Finished,
    checked: Checked | None,
    annotators: Mapping[str, Mapping[str, Scores]],
    experts: Sequence[str | Path],
    new_truth: bool,
) -> tuple[dict[str, Any], dict[str, Table | None]]:
    """What run.json says of the review, and its tables; None for a table that is to go."""
    tables: dict[str, Table | None] = {}
    if checked is None:
        return {}, dict.fromkeys((SCORES, RANKING, CURVE, EXPERTS, COMPARISON))
    order = rank_scores(run, checked)
    calibration = calibration_facts(run, checked, new_truth)
    facts: dict[str, Any] = {"truth": truth_facts(run, checked, order) | calibration}
    tables |= {
        SCORES: scores_table(run, checked),
        RANKING: with_calibration(ranking_table(order), calibration),
        CURVE: curve_table(run, checked),
    }
    if annotators:
        everyone = {MODEL: checked.scores, **annotators}
        tables |= {EXPERTS: experts_table(everyone), COMPARISON: beside_table(everyone, run.seed)}
        folders = [str(Path(folder).resolve()) for folder in experts]
        facts["experts"] = {"names": list(annotators), "folders": folders}
    elif new_truth:
        tables |= {EXPERTS: None, COMPARISON: None}
    elif (before := (run.record.get("review") or {}).get("experts")) is not None:
        facts["experts"] = before
    return facts, tables


def _write(
    run: Finished, judge: Judge | None, checked: Checked | None, facts: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Write run.json, images.csv and the report; the rows of the table."""
    record, rows = run.record, list(run.rows)
    if judge is not None:
        record["quality"] = judge.facts(rows)
        rows = judge.rows(rows)
    record.pop("review", None)
    if facts and checked is not None:
        record["review"] = facts
        rows = [{**row, "score": score} if (score := checked.score(row["image"])) is not None
                else row for row in rows]  # fmt: skip
    write_json(run.folder / "run.json", record)
    write_images(run.folder, [plain(row) for row in rows])
    write_report(run.folder)
    return rows


def _hold_against(
    run: Finished, truth: Path, judge: Judge | None, listener: Listener | None
) -> Checked:
    """Score the images of a run that have truth."""
    method = run.method
    metric = counted(judge.reference.metric if judge else "", method)
    predicted = predicted_files(run.folder, method)
    files = true_files(truth, run.names)
    scorer, scores = Scorer(method, run.axes, run.plane), {}
    for number, (name, path) in enumerate(files.items()):
        if listener:
            listener.image(name, number, len(files))
        found = scorer.read(predicted[name])
        scores[name] = scorer.score(scorer.read(path), found, predicted=True)
        if listener:
            value = getattr(scores[name], metric)
            listener.finished(name, f"{metric_name(metric)} {value:.3f}")
    return Checked(str(truth.resolve()), metric, scores, None)


def _score_experts(
    run: Finished,
    experts: Sequence[str | Path],
    pattern: str | None,
    truth: Mapping[str, Path],
    listener: Listener | None,
) -> dict[str, dict[str, Scores]]:
    """Score the experts on the images that have truth; by expert, those who share none left out.

    Raises
    ------
    DataError : no expert shares an image, or one has the name that the model goes by.
    """
    found = find_experts([Path(folder) for folder in experts], pattern, LABEL_SUFFIXES)
    if MODEL in found.experts:
        raise DataError(
            f'an expert is called "{MODEL}", as the model is in the tables: rename the folder'
        )
    shared = [name for name in truth if name in found.files]
    if not shared:
        raise DataError(
            f"{found.rule}: share no image with the truth; they have for instance "
            f"{next(iter(found.files))}, the truth has {next(iter(truth))}"
        )
    scorer = Scorer(run.method, run.axes, run.plane)
    scores: dict[str, dict[str, Scores]] = {expert: {} for expert in found.experts}
    for number, name in enumerate(shared):
        if listener:
            listener.image(name, number, len(shared))
        expected = scorer.read(truth[name])
        for expert, path in found.files[name].items():
            scores[expert][name] = scorer.score(expected, scorer.read(path))
        if listener:
            listener.finished(name, f"{len(found.files[name])} experts")
    return {expert: own for expert, own in scores.items() if own}
