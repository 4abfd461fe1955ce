"""Time flow targets and decoding beside cellpose 3.1, and compare both results with the truth.

    python benchmarks/flows_kernels.py --peer PATH/TO/PYTHON [--threads 2] [--size 2048]

PATH/TO/PYTHON is the interpreter of an environment of its own with `cellpose==3.1.1.3`. Both work
on the same synthetic image of nucleus-like ellipses with the same number of threads, in processes
of their own; each figure is the best of three runs after one to warm up (the warm-up of the kernels
includes their compilation, which is cached on disk). Without --peer only our figures are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
TASKS = {
    "targets": "labels → flow targets",
    "decode": "maps → labels",
    "filter": "maps → labels, flow filter",
}
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


def best_of_three(work: Callable[[], Any]) -> tuple[float, Any]:
    """Shortest of three runs in seconds, after one to warm up, and the result."""
    result = work()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return min(seconds), result


def run_ours(folder: Path) -> dict[str, Any]:
    import numpy as np

    from delineate import __version__
    from delineate.methods.flows.dynamics import decode_flows
    from delineate.methods.flows.targets import flow_error, flow_targets

    labels, flow, inside = (np.load(folder / f"{n}.npy") for n in ("labels", "flow", "inside"))
    seconds = {}
    seconds["targets"], targets = best_of_three(lambda: flow_targets(labels))
    np.save(folder / "ours_targets.npy", targets)
    seconds["decode"], found = best_of_three(lambda: decode_flows(flow, inside > 0.5))
    np.save(folder / "ours_decode.npy", found)

    def filtered() -> Any:
        found = decode_flows(flow, inside > 0.5)
        keep = np.concatenate([[False], flow_error(found, flow) <= 0.4])
        return np.where(keep[found], found, 0)

    seconds["filter"], found = best_of_three(filtered)
    np.save(folder / "ours_filter.npy", found)
    return {"version": f"delineate {__version__}", "seconds": seconds}


def run_cellpose(folder: Path) -> dict[str, Any]:
    from importlib.metadata import version

    import numpy as np
    import torch
    from cellpose import dynamics

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    device = torch.device("cpu")
    labels, flow, inside = (np.load(folder / f"{n}.npy") for n in ("labels", "flow", "inside"))
    flow = flow * 5  # its network's units; its threshold is on the probability given here
    whole = labels.astype(int)
    seconds = {}

    def decode(threshold: float) -> Any:
        result = dynamics.compute_masks(
            flow, inside, cellprob_threshold=0.5, flow_threshold=threshold, min_size=-1,
            device=device,
        )  # fmt: skip
        return result[0] if isinstance(result, tuple) else result

    seconds["targets"], targets = best_of_three(
        lambda: dynamics.labels_to_flows([whole], device=device)[0][2:4]
    )
    np.save(folder / "cellpose_targets.npy", np.asarray(targets, np.float32))
    seconds["decode"], found = best_of_three(lambda: decode(0.0))
    np.save(folder / "cellpose_decode.npy", found)
    seconds["filter"], found = best_of_three(lambda: decode(0.4))
    np.save(folder / "cellpose_filter.npy", found)
    return {"version": f"cellpose {version('cellpose')}", "seconds": seconds}


def scores(folder: Path, name: str) -> list[float]:
    """AP at the thresholds, objects under 15 pixels left out."""
    import numpy as np

    from delineate.metrics import average_precision

    truth, found = np.load(folder / "labels.npy"), np.load(folder / f"{name}.npy")
    return [float(v) for v in average_precision(truth, found, THRESHOLDS, min_size=15)]


def child(interpreter: str, system: str, folder: Path, threads: int) -> dict[str, Any]:
    """Run one system in a process of its own."""
    variables = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = os.environ | dict.fromkeys(variables, str(threads))
    command = [interpreter, str(HERE), "--child", system, "--folder", str(folder)]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(output.stdout.strip().splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="interpreter of an environment with cellpose 3.1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=2048, help="height and width in pixels")
    parser.add_argument("--noise", type=float, default=0.3, help="noise of the flow, unit vectors")
    parser.add_argument("--blur", type=float, default=1.0, help="blur of the maps, pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", choices=("ours", "cellpose"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        run = {"ours": run_ours, "cellpose": run_cellpose}[args.child]
        print(json.dumps(run(args.folder)))
        return

    import numpy as np

    from delineate.methods.flows.targets import flow_targets
    from synthetic import noisy_maps, nuclei

    count = round(3500 * (args.size / 2048) ** 2)
    labels = nuclei((args.size, args.size), count, args.seed)
    flow, inside = noisy_maps(flow_targets(labels), labels > 0, args.noise, args.blur, args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for key, array in (("labels", labels), ("flow", flow), ("inside", inside)):
            np.save(folder / f"{key}.npy", array)
        systems = {"ours": child(sys.executable, "ours", folder, args.threads)}
        if args.peer:
            systems["cellpose"] = child(args.peer, "cellpose", folder, args.threads)
        print(
            f"{args.size} x {args.size} pixels, {count} objects, noise {args.noise}, blur "
            f"{args.blur}, {args.threads} threads, {platform.machine()}, "
            + ", ".join(s["version"] for s in systems.values())
        )
        head = "".join(f"{s + ' [s]':>14}" for s in systems)
        print(f"\n{'task':<40}{head}{'ratio':>10}")
        for task, title in TASKS.items():
            times = [s["seconds"][task] for s in systems.values()]
            ratio = f"{times[1] / times[0]:>9.1f}x" if len(times) == 2 else ""
            print(f"{title:<40}" + "".join(f"{t:>14.3f}" for t in times) + ratio)
        print(f"\n{'AP against the truth at':<40}" + "".join(f"{t:>9.1f}" for t in THRESHOLDS))
        for task in ("decode", "filter"):
            for system in systems:
                values = "".join(f"{v:>9.4f}" for v in scores(folder, f"{system}_{task}"))
                print(f"{system + ', ' + TASKS[task]:<40.40}" + values)


if __name__ == "__main__":
    main()
