"""What uncertainty meant on images with truth: the reference, U_min and the verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from delineate.errors import ModelError
from delineate.uncertainty.novelty import is_novel

Measure = Literal["predictive", "aleatoric"]
Origin = Literal["held-out", "out-of-fold"]
Verdict = Literal["verify", "accept"]

UNLIKE = "unlike the training images"
NOTHING = "nothing was found"
UNCERTAIN = "as uncertain as a reference image that fell short"
"""Reasons to verify an image, as tables and reports show them."""


@dataclass(frozen=True)
class Reference:
    """Uncertainty and score of images with truth that the model was not trained on.

    Out-of-fold values come from the one member that did not see the image. The predictive
    uncertainty of its single draw lacks the disagreement between members, so it lies below that of
    the whole ensemble on a like image. The measure "aleatoric" says so: what it equals in
    expectation is the aleatoric part, a mean over draws, and the expected score goes by that
    (`ExpectedScore`). The verdict goes by the predictive U of an image all the same (`u_min`).

    Parameters
    ----------
    images : names.
    uncertainty : U of each image; NaN where nothing was found.
    score : score of each image, in [0, 1].
    metric : what the score is, such as "dice" or "map".
    measure : the uncertainty of a new image that is the same in expectation: "aleatoric" where
        each value is the predictive one of a single draw, which has no other part.
    origin : images kept apart, or those of the folds in turn.
    """

    images: tuple[str, ...]
    uncertainty: tuple[float, ...]
    score: tuple[float, ...]
    metric: str
    measure: Measure = "predictive"
    origin: Origin = "held-out"

    def __post_init__(self) -> None:
        lengths = len(self.images), len(self.uncertainty), len(self.score)
        if len(set(lengths)) != 1:
            raise ModelError(f"the reference has {lengths} images, uncertainties and scores")
        if self.measure not in get_args(Measure) or self.origin not in get_args(Origin):
            raise ModelError(
                f"the reference has the measure {self.measure!r} and the origin {self.origin!r}; "
                f"expected one of {get_args(Measure)} and one of {get_args(Origin)}"
            )
        wrong = [n for n, s in zip(self.images, self.score, strict=True) if not 0 <= s <= 1]
        wrong += [n for n, u in zip(self.images, self.uncertainty, strict=True) if u < 0]
        if wrong:
            raise ModelError(
                f"the reference image {wrong[0]} has a score outside [0, 1] or an uncertainty "
                "below 0"
            )

    def known(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """U and score of the images that have a U."""
        u, score = np.array(self.uncertainty, np.float64), np.array(self.score, np.float64)
        finite = np.isfinite(u)
        return u[finite], score[finite]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON; a missing U is None."""
        rows = zip(self.images, self.uncertainty, self.score, strict=True)
        return {
            "metric": self.metric,
            "measure": self.measure,
            "origin": self.origin,
            "images": [
                {"image": n, "uncertainty": float(u) if math.isfinite(u) else None, "score": s}
                for n, u, s in ((n, u, float(s)) for n, u, s in rows)
            ],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Self:
        """What `to_dict` made.

        Raises
        ------
        ModelError : an entry is missing or invalid.
        """
        try:
            rows = saved["images"]
            return cls(
                tuple(str(row["image"]) for row in rows),
                tuple(
                    math.nan if row["uncertainty"] is None else float(row["uncertainty"])
                    for row in rows
                ),
                tuple(float(row["score"]) for row in rows),
                str(saved["metric"]),
                saved["measure"],
                saved["origin"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the saved reference cannot be read: {error!r}") from error


def u_min(reference: Reference, required: float) -> float:
    """Smallest U of the reference images whose score is below the required quality.

    Griebel et al. (deepflash2), equation 8: images with U ≥ U_min are to be verified, U being the
    predictive uncertainty of reference and image alike. Where the reference is made of single
    draws (of the measure "aleatoric"), its U has no epistemic part, while that of an image
    predicted by several draws has: the rule then errs on the safe side, and an image on which the
    draws disagree is verified for that.

    Where no reference image with a U scores below `required` it is infinite, and every image like
    the training images in which something was found is accepted: that is as much as the reference
    can tell, and with few images it is not much.

    Parameters
    ----------
    reference : images with truth.
    required : the score τ that is good enough.
    """
    u, score = reference.known()
    return float(u[score < required].min(initial=math.inf))


def reason_to_verify(
    uncertainty: float | None, threshold: float, novelty: float | None = None
) -> str:
    """Why a person must look at an image: `UNLIKE`, `NOTHING`, `UNCERTAIN`, or "" where none need.

    Parameters
    ----------
    uncertainty : predictive U of the image; None or NaN where nothing was found.
    threshold : `u_min`.
    novelty : of the image; None or NaN where it is not known. Above `NOVEL` the image is unlike
        those that the reference speaks for, and no U vouches for it.
    """
    if is_novel(novelty):
        return UNLIKE
    if uncertainty is None or math.isnan(uncertainty):
        return NOTHING
    return UNCERTAIN if uncertainty >= threshold else ""


def verdict(uncertainty: float | None, threshold: float, novelty: float | None = None) -> Verdict:
    """Whether a person must look at an image: unlike the training images, no U, or U ≥ U_min.

    Parameters as of `reason_to_verify`.
    """
    return "verify" if reason_to_verify(uncertainty, threshold, novelty) else "accept"
