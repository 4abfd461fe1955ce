"""How near a predicted image comes to the true one: PSNR, SSIM, Pearson, NRMSE, scale-invariant."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from delineate.errors import ImageError
from delineate.metrics.image_scale import Pixels, centred, checked, match_scale, slope_of

_REACH = 5  # pixels on either side of the middle of the SSIM's window of 11 pixels


class ImageScores(NamedTuple):
    """Scores of one predicted image, or of one channel of it; see `image_scores`."""

    psnr: float
    """Peak signal-to-noise ratio in dB; infinite where every pixel is right."""
    si_psnr: float
    """The same after the best brightness and contrast, see `match_scale`."""
    ssim: float
    """Structural similarity, −1 to 1."""
    si_ssim: float
    """The same after the best brightness and contrast."""
    pearson: float
    """Correlation over pixels, −1 to 1."""
    nrmse: float
    """Root mean squared error in standard deviations of the truth; its mean scores 1."""


def image_scores(
    prediction: ArrayLike,
    truth: ArrayLike,
    data_range: float | None = None,
    valid: ArrayLike | None = None,
    spread: float | None = None,
) -> ImageScores:
    """All scores of a predicted image against the true one.

    Without an answer, and so NaN, are: `si_psnr`, `si_ssim`, `pearson` and, unless the images are
    equal, `nrmse` of a constant truth, which has no structure to find; of such a truth also `psnr`
    and `ssim` of unequal images unless the range is given; and everything of no pixels. A constant
    prediction of another truth has the `pearson` 0, as it explains nothing.

    Parameters
    ----------
    prediction, truth : real arrays of one shape, over the spatial axes.
    data_range : span of the values that pixels can take; None: highest minus lowest valid pixel
        of the truth.
    valid : bool, the pixels that count; None: all. The windows of SSIM still see their neighbours.
    spread : standard deviation that `nrmse` divides by, such as that of the whole truth where some
        of its pixels count; None: that of the valid pixels.

    Raises
    ------
    ImageError : shapes differ, a pixel is NaN or infinite, or the range is not positive.
    """
    p, t, keep = checked(prediction, truth, valid)
    if not keep.any():
        return ImageScores(*[np.nan] * 6)
    span = np.ptp(t[keep]) if data_range is None else _positive(data_range)
    error = _squared_error(p, t, keep)
    equal = error == 0
    flat = np.ptp(t[keep]) == 0
    known = span > 0
    return ImageScores(
        psnr=_decibel(error, span) if known or equal else np.nan,
        si_psnr=np.nan if flat else si_psnr(p, t, span, keep),
        ssim=ssim(p, t, span, keep) if known else 1.0 if equal else np.nan,
        si_ssim=np.nan if flat else ssim(match_scale(p, t, keep), t, span, keep),
        pearson=pearson(p, t, keep),
        nrmse=nrmse(p, t, "std" if spread is None else spread, keep),
    )


def pearson(prediction: ArrayLike, truth: ArrayLike, valid: ArrayLike | None = None) -> float:
    """Pearson's correlation over pixels, −1 to 1.

    0 where only the prediction is constant (no affine map of it explains anything), NaN where
    the truth is.

    Parameters
    ----------
    prediction, truth, valid : see `image_scores`.

    Raises
    ------
    ImageError : see `image_scores`.
    """
    p, t, keep = checked(prediction, truth, valid)
    if not keep.any() or np.ptp(t[keep]) == 0:
        return np.nan
    if np.ptp(p[keep]) == 0:
        return 0.0
    a, b = centred(p[keep]), centred(t[keep])
    return float(np.clip((a @ b) / np.sqrt((a @ a) * (b @ b)), -1, 1))


def nrmse(
    prediction: ArrayLike,
    truth: ArrayLike,
    by: Literal["std", "range"] | float = "std",
    valid: ArrayLike | None = None,
) -> float:
    """Root mean squared error over the spread of the truth; 0 is perfect.

    ``sqrt(mean((p - t)²)) / std(t)`` (the default) does not hang on the brightest pixel, and says
    what is left to explain: its square is 1 − R², and the mean of the truth scores 1. By the range,
    ``max(t) - min(t)``, it is 10^(−PSNR / 20). Of a constant truth it is 0 if all is right, else
    NaN.

    Parameters
    ----------
    prediction, truth, valid : see `image_scores`.
    by : what the error is divided by: standard deviation (of the population), range, or a number.

    Raises
    ------
    ImageError : see `image_scores`.
    """
    p, t, keep = checked(prediction, truth, valid)
    if not keep.any():
        return np.nan
    error = np.sqrt(_squared_error(p, t, keep))
    spread = by if isinstance(by, int | float) else np.ptp(t[keep])
    if spread == 0:
        return 0.0 if error == 0 else np.nan
    return float(error / (t[keep].std() if by == "std" else spread))


def psnr(
    prediction: ArrayLike,
    truth: ArrayLike,
    data_range: float | None = None,
    valid: ArrayLike | None = None,
) -> float:
    """Peak signal-to-noise ratio in dB: 10 log10(R² / mean((p − t)²)), infinite for equal images.

    Parameters
    ----------
    prediction, truth, valid : see `image_scores`.
    data_range : R, span of the values that pixels can take; None: the range of the truth.

    Raises
    ------
    ImageError : see `image_scores`; also where the truth is constant and no range is given.
    """
    p, t, keep = checked(prediction, truth, valid)
    if not keep.any():
        return np.nan
    span = _positive(np.ptp(t[keep]) if data_range is None else data_range)
    return _decibel(_squared_error(p, t, keep), span)


def si_psnr(
    prediction: ArrayLike,
    truth: ArrayLike,
    data_range: float | None = None,
    valid: ArrayLike | None = None,
) -> float:
    """PSNR after the affine map of the prediction that fits the truth best (scale-invariant).

    10 log10(R² / min over a, b of mean((a p + b − t)²)) = 10 log10(R² / (var(t) (1 − r²))), with
    Pearson's r: brightness and contrast of the prediction do not matter, nor does the sign of its
    contrast. Weigert et al. 2018, Nature Methods 15:1090 compare images after this map (Methods).

    Parameters
    ----------
    prediction, truth, valid : see `image_scores`.
    data_range : R; None: the range of the truth.

    Raises
    ------
    ImageError : as `psnr`.
    """
    p, t, keep = checked(prediction, truth, valid)
    if not keep.any():
        return np.nan
    span = _positive(np.ptp(t[keep]) if data_range is None else data_range)
    a, b = centred(p[keep]), centred(t[keep])
    return _decibel(float(np.mean((slope_of(a, b) * a - b) ** 2)), span)


def ssim(
    prediction: ArrayLike,
    truth: ArrayLike,
    data_range: float | None = None,
    valid: ArrayLike | None = None,
) -> float:
    """Mean structural similarity, −1 to 1.

    Wang et al. 2004, IEEE Trans. Image Process. 13:600, equation 13 with Gaussian windows (σ 1.5
    pixels, 11 wide) over all spatial axes, K1 0.01, K2 0.03, as scikit-image computes it. The mean
    is over pixels whose window lies within the image. Along axes of fewer than 11 pixels, such as Z
    of thin volumes, there are none: there all pixels count and the image is mirrored at its edges,
    and so too where no other pixel is valid.

    Parameters
    ----------
    prediction, truth, valid : see `image_scores`.
    data_range : span of the values that pixels can take; None: the range of the truth.

    Raises
    ------
    ImageError : as `psnr`.
    """
    from skimage.metrics import structural_similarity

    p, t, keep = checked(prediction, truth, valid)
    if not keep.any():
        return np.nan
    span = _positive(np.ptp(t[keep]) if data_range is None else data_range)
    short = [n < 2 * _REACH + 1 for n in t.shape]
    margin = [(_REACH, _REACH) if s else (0, 0) for s in short]
    _, similarity = structural_similarity(
        np.pad(t, margin, mode="symmetric"),
        np.pad(p, margin, mode="symmetric"),
        data_range=span,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    own = tuple(slice(_REACH, -_REACH) if s else slice(None) for s in short)
    similarity = similarity[own]
    inner = tuple(slice(None) if s else slice(_REACH, -_REACH) for s in short)
    if keep[inner].any():
        similarity, keep = similarity[inner], keep[inner]
    return float(similarity[keep].mean())


def _positive(span: float) -> float:
    """The span of values, checked to be one.

    Raises
    ------
    ImageError : it is not positive and finite.
    """
    if not 0 < span < np.inf:
        raise ImageError(
            f"a range of {span:g}: the truth is constant, or the range is wrong; give the span of "
            "the values that pixels can take, such as 255"
        )
    return float(span)


def _squared_error(p: Pixels, t: Pixels, keep: NDArray[np.bool_]) -> float:
    return float(np.mean((p[keep] - t[keep]) ** 2))


def _decibel(error: float, span: float) -> float:
    return float(10 * np.log10(span**2 / error)) if error else np.inf
