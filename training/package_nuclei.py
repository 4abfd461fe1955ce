"""Put a trained `nuclei` model into the package: half-precision weights, scores, card.

    python training/package_nuclei.py DATA RUN/model src/delineate/zoo/nuclei \\
        --history "how trained" --misses "what benchmarks/nuclei_misses.py found"

The scores are measured here, by kind, on the split `val` that training never saw.
"""

import argparse
import csv
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from delineate.io import read_labels
from delineate.metrics import average_precision, bootstrap_interval
from delineate.model import Model, load
from delineate.uncertainty import ExpectedScore, Reference
from delineate.uncertainty.novelty import is_novel

FEWEST = 5
"""Images of a kind, of fewer of which the card does not say how far estimates are off."""

CARD = """# nuclei

Nuclei in fluorescence, H&E histology and brightfield images, 2D, as objects by flows.

- Network: residual style U-Net (Stringer et al. 2021), 6.6 million parameters, three input channels; a grey image
  serves all three. Weights are stored in half precision. Objects are brought to a diameter of {diameter:g} pixels; the
  scale of an image is found from its style (correlation with the true log diameter {correlation:.3f} in
  cross-validation) and one segmentation.
- Data: {images} training and {validation} validation images ({objects} objects) of the split `train` of the 2018 Data
  Science Bowl, stage 1 (BBBC038v1, Broad Bioimage Benchmark Collection; Caicedo et al., Nature Methods 16, 1247–1253,
  2019), with the public corrections of its masks, CC0 1.0. Fluorescence, H&E and brightfield together.
- Training: {history}
- Licence of the weights: CC0 1.0.

## Scores

On the split `val` ({total} images, none of them used to train or to choose weights), the model finding the scale by
itself; mean over images of AP = TP/(TP+FP+FN), mAP over IoU 0.50:0.05:0.95, 95 % bootstrap intervals over images.

| kind | images | AP50 | mAP |
|---|---|---|---|
{rows}

Command: `python benchmarks/nuclei_accuracy.py DATA --model nuclei`

Three sorts of choice looked at these images all the same: a constant of the decoder was chosen partly on 42 of them, the
handling of image borders was mended after looking at them, and the scores were read while developing (those of this
training and of the three or more before it). They are somewhat optimistic.

The model knows how uncertain it was on {validation} images that no weights were trained on, and how good it was there: so
`delineate predict … --required 0.5 --risk 0.2` can say which results to verify. But these images also chose its weights,
its temperature and its flow threshold, so that new images may well score lower than it expects: on the images of `val`,
expected less true mAP is {bias}. They come from the same laboratories as the training images; for others read
the novelty first.

## Where it fails

- H&E: nearly all these images show a single violet stain, three of them eosin as well; crowded, blurred or very pale nuclei are missed or merged; scores there rest on few images.
- Brightfield: three validation images of one laboratory; expect to retrain on your own.
- Dim nuclei beside very bright ones, and nuclei that annotators drew much larger than they shine.
- Objects much smaller than the others of their image, such as debris and micronuclei beside nuclei: {misses}
- Nuclei smaller than about 7 pixels in diameter; very elongated nuclei; dense tissue in three dimensions.
- Anything that is not a nucleus: train on your own images (`delineate train my-data --from nuclei`).
"""


def wrapped(text: str, width: int = 120) -> str:
    """Markdown with its paragraphs and items filled to a width; tables and headings stay."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        apart = not line.strip() or line.startswith(("|", "#", "- "))
        if apart or not blocks or not blocks[-1][0].strip() or blocks[-1][0][0] in "|#":
            blocks.append([])
        blocks[-1].append(line.strip())
    lines = []
    for block in blocks:
        if not block[0] or block[0][0] in "|#":
            lines += block
            continue
        later = "  " if block[0].startswith("- ") else ""
        lines += textwrap.wrap(
            " ".join(block),
            width,
            subsequent_indent=later,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"


def interval(values: Sequence[float] | np.ndarray, how: str = ".3f") -> str:
    """A mean with its interval over images."""
    i = bootstrap_interval(np.asarray(values), np.random.default_rng(0))
    return f"{i.value:{how}} {i.bounds()}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--history", required=True)
    parser.add_argument("--misses", required=True)
    args = parser.parse_args()
    trained = load(args.model)
    members = tuple(
        {k: v.half() if v.is_floating_point() else v for k, v in m.items()} for m in trained.members
    )
    half: Model = replace(trained, members=members, _built=[])
    rows = list(csv.DictReader((args.data / "splits.csv").open()))
    known = Reference.from_dict(half.description.reference or {})
    expected = ExpectedScore(known)
    lines, total, bias = [], 0, []
    for kind in ("fluorescence", "histology", "brightfield"):
        each, off = [], []
        for row in rows:
            if row["split"] == "val" and row["kind"] == kind:
                truth = read_labels(args.data / "labels" / f"{row['image']}.png")
                found = half.predict(args.data / "images" / f"{row['image']}.png")
                each.append(average_precision(truth, found.labels))
                if not is_novel(found.novelty):
                    scores = found.scores
                    u = scores.aleatoric if known.measure == "aleatoric" else scores.uncertainty
                    off.append(expected.estimate(u).value - each[-1].mean())
        table = np.stack(each)
        total += len(table)
        cells = [interval(values) for values in (table[:, 0], table.mean(axis=1))]
        if len(off := [value for value in off if np.isfinite(value)]) >= FEWEST:
            bias.append(f"{interval(off, '+.3f')} in {kind}")
        lines.append(f"| {kind} | {len(table)} | {cells[0]} | {cells[1]} |")
        print(lines[-1], flush=True)
    facts = half.description.provenance
    card = CARD.format(
        diameter=half.description.diameter,
        correlation=half.scale.correlation if half.scale else float("nan"),
        images=facts["training_images"],
        validation=facts["validation_images"],
        objects=facts["training_objects"],
        history=args.history,
        misses=args.misses,
        total=total,
        rows="\n".join(lines),
        bias=" and ".join(bias),
    )
    description = half.description.model_copy(
        update={"provenance": {**facts, "licence": "CC0-1.0", "history": args.history}}
    )
    replace(half, description=description, card=wrapped(card)).save(args.out)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    main()
