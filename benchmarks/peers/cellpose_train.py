"""Train cellpose 3.1 from scratch, for a comparison with equal patches or equal wall time.

Run in an environment of its own: `pip install torch cellpose==3.1.1.3`, then
`python benchmarks/peers/cellpose_train.py DATA --images train.txt --steps 250 --diameter 17 OUT`.
DATA holds images/ and labels/; the list names the images to train on (default: all).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from cellpose import models, train
from imagecodecs import imread

parser = argparse.ArgumentParser()
parser.add_argument("data", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--images", type=Path, help="text file, one image stem a line")
parser.add_argument("--steps", type=int, default=250)
parser.add_argument("--diameter", type=float, default=30.0)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--threads", type=int, default=2)
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.manual_seed(0)
stems = args.images.read_text().split() if args.images else None
images, labels = [], []
for path in sorted((args.data / "images").iterdir()):
    if stems is not None and path.stem not in stems:
        continue
    pixels = np.asarray(imread(path), dtype=np.float32)
    images.append(pixels[..., :3].mean(axis=-1) if pixels.ndim == 3 else pixels)
    label = next((args.data / "labels").glob(path.stem + ".*"))
    labels.append(np.asarray(imread(label)).astype(np.int32))
print(f"{len(images)} images", flush=True)

args.out.mkdir(parents=True, exist_ok=True)
model = models.CellposeModel(gpu=False, pretrained_model=False, diam_mean=args.diameter)
epochs = max(1, args.steps // 2)  # two steps an epoch: cellpose's warm-up and decay count in epochs
step_seconds: list[float] = []
inner = torch.optim.AdamW.step


def timed(self, *a, **k):
    step_seconds.append(time.perf_counter())
    if len(step_seconds) % 5 == 0:
        per = (step_seconds[-1] - step_seconds[0]) / (len(step_seconds) - 1)
        print(f"step {len(step_seconds)}/{args.steps} {per:.2f} s per step", flush=True)
    return inner(self, *a, **k)


torch.optim.AdamW.step = timed
per_epoch = 2 * args.batch
extra = {} if per_epoch == len(images) else {"nimg_per_epoch": per_epoch}
start = time.perf_counter()
path, losses, _ = train.train_seg(
    model.net,
    train_data=images,
    train_labels=labels,
    channels=[0, 0],
    batch_size=args.batch,
    n_epochs=epochs,
    min_train_masks=1,
    save_path=args.out,
    model_name="cellpose",
    **extra,
)
wall = time.perf_counter() - start
gaps = np.diff(step_seconds)
summary = {
    "patches": len(step_seconds) * args.batch,
    "steps": len(step_seconds),
    "seconds": wall,
    "seconds_targets_and_setup": step_seconds[0] - start,
    "median_seconds_per_step": float(np.median(gaps)),
    "best_tenth_seconds_per_step": float(np.quantile(gaps, 0.1)),
    "threads": args.threads,
    "losses": [float(x) for x in losses],
}
(args.out / "summary.json").write_text(json.dumps(summary, indent=1))
print({k: v for k, v in summary.items() if k != "losses"})
