"""Volumes: one recipe of each regime trains on one real volume and is scored on another.

python benchmarks/volumes.py DATA/volumes OUT --steps 150

DATA/volumes/ovule-nuclei holds images/ and labels/ with two volumes (ZYX, 100³). The first trains.
Of the second are scored: modality-3d, its mask told from the image (Pearson); synthesis-3d
(pix2pix), the image told from its mask (Pearson); unsupervised-3d (CycleGAN), its foreground, from
images of the first and masks of the second volume turned upside down (Dice, beside Otsu's
threshold); noise2void-3d (blind spot), what is left of the image's high frequencies. Trainings
are short: the table shows that each learns, not how well it can.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.filters import threshold_otsu

from delineate.image import Image
from delineate.io import find_images, read, read_labels, write_image
from delineate.metrics import dice, pearson
from delineate.recipe import Recipe
from delineate.runs.train import train

SMALL = {"features": [8, 16, 32, 64], "style": True}
"""Options of the residual U-Net."""


def write(folder: Path, name: str, pixels: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_image(folder / f"{name}.tif", Image(pixels, "ZYX"))


def high(pixels: np.ndarray) -> float:
    """Standard deviation of what a Gaussian of σ 2 takes away, over that of the whole."""
    return float((pixels - gaussian_filter(pixels, 2)).std() / pixels.std())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--only", help="one of the recipes")
    args = parser.parse_args()
    source, out = args.data / "ovule-nuclei", args.out
    images = [read(f.path, axes="ZYX").numpy() for f in find_images(source / "images")]
    labels = [read_labels(f.path, axes="ZYX") for f in find_images(source / "labels")]
    masks = [np.where(a > 0, 255, 0).astype(np.uint8) for a in labels]
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        write(out / f"images-{number}", "volume", image)
        write(out / f"masks-{number}", "volume", mask)
    write(out / "masks-turned", "other", np.ascontiguousarray(masks[1][::-1, ::-1]))
    truth = masks[1] > 0
    common = {"train.steps": args.steps, "train.validate_every": args.steps, "data.validation": 0}
    generator = {
        "network.name": "unet",
        "network.options": {"channels": [8, 16, 32], "norm": "instance"},
    }
    judge = {"regime.discriminator": {"scales": 1, "features": 16, "layers": 2}}
    jobs = {
        "modality-3d": {"data.targets": out / "masks-0", "network.options": SMALL},
        "synthesis-3d": {"data.targets": out / "images-0", **generator, **judge},
        "unsupervised-3d": {
            "data.labels": out / "masks-turned",
            "train.learning_rate": 0.0005,
            **generator,
            **judge,
        },
        "noise2void-3d": {},
    }
    print("| recipe | regime | seconds | score on the other volume |\n|---|---|---|---|")
    for name, changes in jobs.items():
        if args.only not in (None, name):
            continue
        made = name == "synthesis-3d"
        changes["data.images"] = out / ("masks-0" if made else "images-0")
        settings = {k: str(v) if isinstance(v, Path) else v for k, v in changes.items()}
        recipe = Recipe.load(name, {**common, **settings})
        start = time.perf_counter()
        model = train(recipe, out / name)
        seconds = time.perf_counter() - start
        found = model.predict(out / ("masks-1" if made else "images-1") / "volume.tif")
        pixels = None if found.result is None else np.asarray(found.result.data)[0]
        if pixels is None:
            otsu = images[1] > threshold_otsu(images[1])
            score = f"Dice {dice(truth, found.foreground):.3f} (Otsu {dice(truth, otsu):.3f})"
        elif name == "modality-3d":
            score = f"Pearson {pearson(pixels, masks[1]):.3f} (image itself "
            score += f"{pearson(images[1].astype(float), masks[1]):.3f})"
        elif made:
            score = f"Pearson {pearson(pixels, images[1]):.3f} (mask itself "
            score += f"{pearson(masks[1].astype(float), images[1]):.3f})"
        else:
            score = (
                f"high frequencies {high(pixels):.3f} (image {high(images[1].astype(float)):.3f})"
            )
        print(f"| {name} | {recipe.regime.name} | {seconds:.0f} | {score} |", flush=True)


if __name__ == "__main__":
    main()
