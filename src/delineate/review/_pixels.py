"""Small steps on pixels that pictures are made of: shrinking, resizing, captions, JPEG files."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from delineate.image import LazyArray
from delineate.io.atomic import atomic_path

_BAND = 16 * 2**20  # pixels read at a time


def block_mean(
    data: LazyArray, key: tuple[Any, ...], rows: tuple[int, int], columns: tuple[int, int],
    factor: int,
) -> NDArray[np.floating]:  # fmt: skip
    """Means over blocks of `factor` × `factor` pixels of one plane, read in bands of rows.

    Parameters
    ----------
    data : array whose last two axes are Y and X.
    key : index of the axes before those two.
    rows, columns : first and one past the last pixel along Y and X.
    factor : side of a block; pixels beyond the last whole block are left out.

    Returns
    -------
    float32 array of about (rows / factor, columns / factor); float64 of pixels that float32 might
    not hold, see `within_single`.
    """
    height, width = rows[1] - rows[0], columns[1] - columns[0]
    fy, fx = min(factor, height), min(factor, width)
    out = np.empty((height // fy, width // fx), np.result_type(data.dtype, np.float32))
    stop = columns[0] + out.shape[1] * fx
    step = max(1, _BAND // max(1, fy * width))
    for first in range(0, out.shape[0], step):
        last = min(first + step, out.shape[0])
        band = slice(rows[0] + first * fy, rows[0] + last * fy)
        pixels = np.asarray(data[(*key, band, slice(columns[0], stop))])
        blocks = pixels.reshape(last - first, fy, out.shape[1], fx)
        out[first:last] = blocks.mean(axis=(1, 3), dtype=out.dtype)
    return out


def within_single(pixels: NDArray[np.floating]) -> NDArray[np.float32]:
    """Pixels as float32; those of float64 are brought to 0…1 first, so that contrast is kept."""
    if pixels.dtype == np.float32 or not pixels.size:
        return pixels.astype(np.float32, copy=False)
    finite = np.where(np.isfinite(pixels), pixels, 0.0)
    exponent = int(np.frexp(np.abs(finite).max())[1])
    scaled = np.ldexp(finite, -exponent)  # so that no difference overflows
    scaled -= scaled.min()
    scaled /= scaled.max() or 1.0
    return scaled.astype(np.float32)


def resize(pixels: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Resize to (height, width): by area where it shrinks, smoothly where it grows."""
    from PIL import Image as Picture

    if pixels.shape == (height, width):
        return pixels
    grows = pixels.shape[0] < height
    method = Picture.Resampling.BICUBIC if grows else Picture.Resampling.BOX
    resized = Picture.fromarray(pixels).resize((width, height), method)
    return np.asarray(resized, dtype=np.float32)


def annotate(
    picture: NDArray[np.uint8],
    caption: str,
    bar: int,
    bar_text: str,
    inset: NDArray[np.uint8] | None,
    frame: tuple[int, ...] = (),
) -> NDArray[np.uint8]:
    """Write a caption (lower left), a scale bar (lower right) and an inset (upper right).

    `frame` is (left, top, right, bottom) of a rectangle within the inset; empty: there is none.
    """
    from PIL import Image as Picture
    from PIL import ImageDraw

    if not caption and not bar and inset is None:
        return picture
    canvas = Picture.fromarray(picture)
    draw = ImageDraw.Draw(canvas, "RGBA")
    font, text_size = text_font(canvas.size)
    pad = text_size // 2
    width, height = canvas.size
    shade, white = (0, 0, 0, 170), (255, 255, 255, 255)
    line = text_size + 2 * pad
    if caption:
        box = draw.textlength(caption, font) + 2 * pad
        draw.rectangle((0, height - line, box, height), fill=shade)
        draw.text((pad, height - line / 2), caption, white, font, anchor="lm")
    if bar:
        box = max(bar, draw.textlength(bar_text, font)) + 2 * pad
        thick = max(3, text_size // 4)
        draw.rectangle((width - box, height - line - thick, width, height), fill=shade)
        middle = width - box / 2
        draw.text((middle, height - line / 2), bar_text, white, font, anchor="mm")
        y = height - line - thick + pad / 2
        draw.rectangle((middle - bar / 2, y, middle + bar / 2, y + thick), fill=white)
    if inset is not None:
        left = width - inset.shape[1]
        canvas.paste(Picture.fromarray(inset), (left, 0))
        draw.rectangle((left - 2, -2, width, inset.shape[0] + 1), outline=white, width=2)
        if frame:
            x0, y0, x1, y1 = frame
            draw.rectangle((left + x0, y0, left + x1, y1), outline=white, width=2)
    return np.asarray(canvas)


def legend(
    picture: NDArray[np.uint8], names: Sequence[str], colours: Sequence[tuple[float, float, float]]
) -> NDArray[np.uint8]:
    """Write names (upper left), each in its colour, 0 to 1; where there is no room, nothing."""
    from PIL import Image as Picture
    from PIL import ImageDraw

    canvas = Picture.fromarray(picture)
    draw = ImageDraw.Draw(canvas, "RGBA")
    font, size = text_font(canvas.size)
    pad, line = size // 2, round(1.4 * size)
    shown = [_cut(name) for name in names]
    width = max((draw.textlength(name, font) for name in shown), default=0) + 2 * pad
    height = line * len(shown) + pad
    if not shown or width > 0.6 * canvas.width or height > 0.5 * canvas.height:
        return picture
    draw.rectangle((0, 0, width, height), fill=(0, 0, 0, 170))
    for row, (name, colour) in enumerate(zip(shown, colours, strict=True)):
        fill = tuple(round(255 * (0.25 + 0.75 * part)) for part in colour)
        draw.text((pad, pad / 2 + line * (row + 0.5)), name, fill, font, anchor="lm")
    return np.asarray(canvas)


def text_font(size: tuple[int, int]) -> tuple[Any, int]:
    """Font for a picture of that size, one that has µ and ×, and its height in pixels."""
    from PIL import ImageFont

    height = max(10, min(17, round(min(size) / 40)))
    face = files("matplotlib") / "mpl-data/fonts/ttf/DejaVuSans.ttf"
    return ImageFont.truetype(str(face), height), height


def _cut(name: str) -> str:
    return name if len(name) <= 24 else f"{name[:23]}…"


def jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    """Encode an RGB picture as JPEG.

    Without Pillow's ``optimize``: that fails on pictures which need more than a byte a pixel.
    """
    from io import BytesIO

    from PIL import Image as Picture

    buffer = BytesIO()
    Picture.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling="4:4:4")
    return buffer.getvalue()


def write_jpeg(path: Path, picture: NDArray[np.uint8], quality: int) -> None:
    """Write a JPEG file under a temporary name and move it into place.

    Raises
    ------
    WriteError : the folder or the file cannot be written.
    """
    with atomic_path(path) as partial:
        partial.write_bytes(jpeg(picture, quality))
