"""Time MMV_Im2Im's own trainer and tester on its fnet; print JSON.

Run in an environment of its own: `pip install torch mmv_im2im==0.8.1`, then

python benchmarks/peers/im2im_peer.py FOLDER --ndim 2 --task train --patch 128 128 --batch 8
python benchmarks/peers/im2im_peer.py FOLDER --ndim 3 --task predict --image IMAGE.tiff

FOLDER holds IM/ and GT/ with TIFF files of equal names. The settings are those of the package's
presets for label-free prediction but for what would break or slow it here: AddChanneld is gone from
the MONAI that the package asks for, `torch.cuda.synchronize` at the end of an epoch fails without
CUDA, `detect_anomaly` is off, and without a GPU the device is the CPU and fp16 is fp32.

As published, preprocessing and augmentation are two Compose in a third. MONAI takes a Compose for
something random, so its cache keeps file names only, and each step reads and normalises whole
images anew. --cached joins the two and keeps the prepared images in memory (CacheDataset), as a
user could.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import lightning
import torch
import yaml
from mmv_im2im import ProjectTester, ProjectTrainer
from mmv_im2im.configs.config_base import ProgramConfig, configuration_validation, parse_adaptor

MONAI = "monai.transforms"
NET = "mmv_im2im.models.nets.fnet_nn_{}d"
OWN = "mmv_im2im.preprocessing.transforms"


class Stopwatch(lightning.Callback):
    """Notes when each step ends; the trainer finds it by its name in the configuration."""

    times: list[float] = []  # noqa: RUF012  the trainer makes the instance

    def on_train_batch_end(self, *_: object) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())


def op(module: str, name: str, **params: object) -> dict:
    return {"module_name": module, "func_name": name, "params": params}


def normalisation(ndim: int, keys: bool) -> list[dict]:
    """What the presets do: centre of Z in 3D, percentiles in 2D; on a dictionary or an array."""
    if ndim == 3:
        return [op(OWN, "norm_around_center", **({"keys": ["IM", "GT"]} if keys else {}), min_z=32)]
    ends = {"b_min": -1, "b_max": 1}
    if not keys:
        return [op(MONAI, "ScaleIntensityRangePercentiles", lower=0.5, upper=99.5, **ends)]
    name = "ScaleIntensityRangePercentilesd"
    return [
        op(MONAI, name, keys=["IM"], lower=0.5, upper=99.5, **ends),
        op(MONAI, name, keys=["GT"], lower=0.1, upper=99.9, **ends),
    ]


def network(args: argparse.Namespace) -> dict:
    """A fresh one each time: the package empties parts of it while reading."""
    return {
        "framework": "FCN",
        "net": op(NET.format(args.ndim), "Net", depth=args.depth, mult_chan=args.width),
    }


def planes(ndim: int) -> dict:
    whole = {"dimension_order_out": "ZYX", "C": 0, "T": 0}
    return whole if ndim == 3 else {"dimension_order_out": "YX", "C": 0, "T": 0, "Z": 0}


def parsed(values: dict, folder: Path) -> ProgramConfig:
    """By way of a YAML file and the package's own parser, as its command does."""
    file = folder / "config.yaml"
    file.write_text(yaml.safe_dump(values))
    cfg = parse_adaptor(config_class=ProgramConfig, args=["--config", str(file)])
    return configuration_validation(cfg)


def train(args: argparse.Namespace, folder: Path) -> dict:
    keys = ["IM", "GT"]
    samples = next(n for n in (args.samples, 2, 1) if args.batch % n == 0)
    loader = {
        "dataloader_type": {"module_name": "monai.data", "func_name": "CacheDataset"},
        "dataloader_params": {
            "batch_size": args.batch // samples,
            "pin_memory": torch.cuda.is_available(),
            "num_workers": args.workers,
        },
    }
    if not args.cached:
        (folder / "cache").mkdir()
        loader["dataloader_type"]["func_name"] = "PersistentDataset"
        loader["dataset_params"] = {"cache_dir": str(folder / "cache"), "pickle_protocol": 5}
    crop = {"random_size": False, "num_samples": samples, "roi_size": args.patch}
    preprocess = [
        op(MONAI, "LoadImaged", keys=keys, **planes(args.ndim)),
        op(MONAI, "EnsureChannelFirstd", keys=keys, channel_dim="no_channel"),
        *normalisation(args.ndim, keys=True),
        op(MONAI, "RandSpatialCropSamplesd", keys=keys, **crop),
        op(MONAI, "EnsureTyped", keys=keys),
    ]
    flip = [op(MONAI, "RandFlipd", prob=0.5, keys=keys)]
    transforms = {"preprocess": preprocess, "augmentation": flip}
    if args.cached:
        transforms = {"preprocess": preprocess + flip}
    values = {
        "mode": "train",
        "data": {
            "category": "pair",
            "data_path": str(args.folder),
            "dataloader": {"train_val_ratio": 0.1, "train": loader, "val": loader},
            **transforms,
        },
        "model": {
            **network(args),
            "criterion": op("torch.nn", "MSELoss", reduction="mean"),
            "optimizer": op("torch.optim", "Adam", lr=0.001, weight_decay=0.0005),
            "scheduler": op("torch.optim.lr_scheduler", "ExponentialLR", gamma=0.98),
        },
        "trainer": {
            "verbose": False,
            "params": {
                "accelerator": "gpu" if torch.cuda.is_available() else "cpu",
                "devices": 1,
                "precision": {"fp32": "32-true", "bf16": "bf16-mixed"}[args.precision],
                "max_epochs": 1,
                "limit_train_batches": args.steps + 2,
                "limit_val_batches": 1,
                "default_root_dir": str(folder),
                "enable_progress_bar": False,
            },
            "callbacks": [{"module_name": "__main__", "func_name": "Stopwatch"}],
        },
    }
    ProjectTrainer(parsed(values, folder)).run_training()
    times = Stopwatch.times
    if len(times) < args.steps + 2:
        sys.exit(f"{len(times)} steps were taken, expected {args.steps + 2}: more images needed")
    gaps = [b - a for a, b in pairwise(times[1:])]
    return {"seconds": gaps, "patches_per_second": args.batch * len(gaps) / sum(gaps)}


def predict(args: argparse.Namespace, folder: Path) -> dict:
    """From the file to the file: the weights are read, the image is, the result is written."""
    from importlib import import_module

    net = import_module(NET.format(args.ndim)).Net(depth=args.depth, mult_chan=args.width)
    state = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"state_dict": state}, folder / "best.ckpt")
    seconds = []
    for image in [args.warm or args.image] + [args.image] * args.repeats:
        model = {
            **network(args),
            "checkpoint": str(folder / "best.ckpt"),
            "model_extra": {
                "cpu_only": not torch.cuda.is_available(),
                "sliding_window_params": {
                    "roi_size": args.patch,
                    "sw_batch_size": args.tiles,
                    "overlap": args.overlap,
                    "mode": "gaussian",
                },
            },
        }
        values = {
            "mode": "inference",
            "data": {
                "inference_input": {
                    "dir": str(image.parent),
                    "data_type": f"*{image.name}",
                    "reader_params": planes(args.ndim),
                },
                "inference_output": {"path": str(folder), "suffix": "_pred"},
                "preprocess": normalisation(args.ndim, keys=False),
            },
            "model": model,
            "trainer": {"params": {"precision": "32-true"}},
        }
        tester = ProjectTester(parsed(values, folder))
        start = time.perf_counter()
        tester.run_inference()
        seconds.append(time.perf_counter() - start)
        if not list(folder.glob(f"{image.stem}_pred*")):
            sys.exit(f"no result was written for {image}")
    return {"seconds": seconds[1:]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path, help="holds IM/ and GT/")
    parser.add_argument("--ndim", type=int, choices=[2, 3], required=True)
    parser.add_argument("--task", choices=["train", "predict"], required=True)
    parser.add_argument("--patch", type=int, nargs="+", help="default: 128 128 or 32 96 96")
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--width", type=int, default=32, help="channels of the first level")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, help="patches in a step; default: 8 or 2")
    parser.add_argument("--samples", type=int, default=4, help="patches of one image, at most")
    parser.add_argument("--steps", type=int, default=10, help="that are timed, after two others")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--cached", action="store_true", help="prepared images stay in memory")
    parser.add_argument("--image", type=Path, help="image to predict")
    parser.add_argument("--warm", type=Path, help="small image that is predicted before the clock")
    parser.add_argument("--overlap", type=float, default=0.2)
    parser.add_argument("--tiles", type=int, default=4, help="patches at a time in prediction")
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    args.patch = args.patch or ([128, 128] if args.ndim == 2 else [32, 96, 96])
    args.batch = args.batch or (8 if args.ndim == 2 else 2)
    torch.set_num_threads(args.threads)
    if not torch.cuda.is_available():
        torch.cuda.synchronize = lambda *_: None
    with tempfile.TemporaryDirectory() as folder:
        result = {"train": train, "predict": predict}[args.task](args, Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result["peak_mb"] = peak / (1e6 if sys.platform == "darwin" else 1e3)
    facts = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    print(json.dumps({**result, **facts}))


if __name__ == "__main__":
    main()
