"""Speed of prediction and of training beside cellpose 3.1, in one run, with the same threads.

python benchmarks/speed.py --peer /path/to/python --peer-model CELLPOSE --model nuclei

Prediction: a synthetic 2048² image with 3,500 nuclei, run at the scale of each network (no image
is resized), networks of equal size (6.6 million parameters), everything from pixels to labels,
flow filter included. Training: whole steps of 8 patches of 224², augmentation included. Best of
the repeats, ours and the peer's in turn.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from delineate.inference.device import has_fast_bf16
from delineate.inference.runner import RunOptions
from delineate.metrics import average_precision
from delineate.model import load
from synthetic import nuclei

PEER = Path(__file__).with_name("peers") / "cellpose_time.py"


def render(labels: np.ndarray, seed: int = 0) -> np.ndarray:
    """An 8-bit fluorescence-like picture of labels: blurred, uneven brightness, noise."""
    rng = np.random.default_rng(seed)
    values = np.concatenate([[12], rng.uniform(70, 190, int(labels.max()))])
    image = gaussian_filter(values[labels], 1.2) + rng.normal(0, 6, labels.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def ask_peer(python: str, *arguments: str) -> dict:
    done = subprocess.run(
        [python, str(PEER), *arguments], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def row(name: str, seconds: float, peer: float | None, note: str) -> None:
    ratio = f"{peer / seconds:.2f}×" if peer else "1×"
    print(f"| {name} | {seconds:.2f} | {ratio} | {note} |", flush=True)


def prediction(args: argparse.Namespace) -> None:
    labels = nuclei((args.side, args.side), round(3500 * (args.side / 2048) ** 2), 0)
    image = render(labels)
    model = load(args.model)
    truth = labels
    precisions = ["fp32", *(["bf16"] if has_fast_bf16(torch.device("cpu")) else [])]
    runs = {
        p: lambda p=p: model.predict(
            image,
            diameter=model.description.diameter,
            options=RunOptions(device="cpu", precision=p),
        )
        for p in precisions
    }
    best = dict.fromkeys(precisions, float("inf"))
    found = {}
    model.predict(image[:512, :512], diameter=model.description.diameter)  # compiles kernels
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/image.npy", image)
        peer: list[float] = []
        for _ in range(args.repeats):
            for p, run in runs.items():
                start = time.perf_counter()
                found[p] = run()
                best[p] = min(best[p], time.perf_counter() - start)
            if args.peer:
                arguments = [args.peer_model, f"{folder}/image.npy", f"{folder}/masks.npy"]
                options = ["--repeats", "1", "--threads", str(args.threads)]
                peer += ask_peer(args.peer, "predict", *arguments, *options)["seconds"]
        masks = np.load(f"{folder}/masks.npy") if args.peer else None
    base = min(peer) if peer else None
    if masks is not None:
        ap = average_precision(truth, masks)
        row("cellpose 3.1, fp32", base, base, f"AP50 {ap[0]:.3f}, mAP {ap.mean():.3f}")
    for p in precisions:
        ap = average_precision(truth, found[p].labels)
        row(f"delineate, {p}", best[p], base, f"AP50 {ap[0]:.3f}, mAP {ap.mean():.3f}")


def training(args: argparse.Namespace) -> None:
    from delineate import networks
    from delineate.data.augment import Augment
    from delineate.data.patches import Batch, Patches
    from delineate.data.samples import Sample
    from delineate.methods.flows import Flows
    from delineate.networks import NetworkOptions
    from delineate.training.options import TrainOptions
    from delineate.training.setting import Setting
    from delineate.training.supervised import Supervised

    labels = nuclei((400, 400), 130, 0)
    method, options = Flows(), TrainOptions()
    image = np.broadcast_to(render(labels)[None] / 255, (2, *labels.shape)).astype(np.float32)
    sample = Sample("a", image, method.encode(labels), labels, np.zeros((0, 2)), 20, 1, 1)
    patches = Patches([sample], method, Augment(), (224, 224), 8000, 0)
    peer = ask_peer(args.peer, "train", "--threads", str(args.threads)) if args.peer else None
    base = min(peer["seconds"]) if peer else None
    if base:
        row("cellpose 3.1, fp32", base, base, f"{8 / base:.2f} patches/s")
    for name, bf16 in (("fp32", False), ("bf16", True)):
        network = networks.build(NetworkOptions(), 2, 3, 2)
        setting = Setting(network, method, options, 100, [], 2, 2, lambda *_, made=network: made)
        module = Supervised(setting).to(memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-4)
        best = float("inf")
        for step in range(args.repeats + 1):
            start = time.perf_counter()
            batch = [patches[step * 8 + i] for i in range(8)]
            joined = Batch(*(torch.stack(parts) for parts in zip(*batch, strict=True)))
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                loss = module.training_step(joined, 0)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 10.0)
            optimiser.step()
            if step:
                best = min(best, time.perf_counter() - start)
        row(f"delineate, {name}", best, base, f"{8 / best:.2f} patches/s")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--peer", help="python of an environment with cellpose 3.1")
    parser.add_argument("--peer-model", help="weights of a trained cellpose model")
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=["predict", "train"])
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.only != "train":
        print(f"| prediction of {args.side}², {args.threads} threads | seconds | speed | score |")
        print("|---|---|---|---|")
        prediction(args)
    if args.only != "predict":
        print(f"\n| training step, 8 × 224², {args.threads} threads | seconds | speed | |")
        print("|---|---|---|---|")
        training(args)


if __name__ == "__main__":
    main()
