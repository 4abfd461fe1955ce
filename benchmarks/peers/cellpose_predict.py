"""Predict with a cellpose 3.1 model, each image at its true median diameter; write label TIFFs.

python benchmarks/peers/cellpose_predict.py MODEL IMAGES OUT --diameters diameters.csv
(columns image, diameter; images that it does not name are left out)
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import tifffile
import torch
from cellpose import models
from imagecodecs import imread

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("images", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--diameters", type=Path, required=True)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

torch.set_num_threads(args.threads)
model = models.CellposeModel(gpu=False, pretrained_model=args.model)
args.out.mkdir(parents=True, exist_ok=True)
start = time.perf_counter()
rows = list(csv.DictReader(args.diameters.open()))
for row in rows:
    pixels = np.asarray(imread(next(args.images.glob(row["image"] + ".*"))), dtype=np.float32)
    grey = pixels[..., :3].mean(axis=-1) if pixels.ndim == 3 else pixels
    masks = model.eval(grey, channels=[0, 0], diameter=float(row["diameter"]))[0]
    tifffile.imwrite(args.out / f"{row['image']}.tif", masks.astype(np.uint32), compression="zlib")
print(f"{len(rows)} images in {time.perf_counter() - start:.1f} s")
