"""Time and memory of many draws: 5 members × 4 turns on 1024² against 20 single passes.

python benchmarks/posterior.py [--threads 2] [--side 1024]

Each case runs in a process of its own, so that its largest resident memory can be read. Weights are
random: neither time nor memory depends on them. Decoding is left out on both sides, as a passing
of tiles through networks is what is compared; `per megapixel` is one pass of one member.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np

CASES = {
    "20 single passes": (1, 1, 20),
    "1 draw": (1, 1, 1),
    "5 draws": (5, 1, 1),
    "20 draws": (5, 4, 1),
}


def run(members: int, turns: int, times: int, side: int, threads: int) -> dict[str, float]:
    import torch

    from delineate.inference.posterior import whole_spread
    from delineate.inference.runner import Runner, RunOptions
    from delineate.methods.flows import Flows
    from delineate.networks import NetworkOptions, build

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    networks = [build(NetworkOptions(), 1, 3, 2) for _ in range(members)]
    runner = Runner(networks, Flows(), 2, RunOptions(turns=turns, device="cpu"))
    data = np.random.default_rng(0).random((1, side, side), np.float32)
    runner.maps(data[:, :512, :512])  # warm up
    start = time.perf_counter()
    for _ in range(times):
        posterior = runner.posterior(data)
    passes = time.perf_counter() - start
    start = time.perf_counter()
    whole_spread(posterior, Flows())
    return {
        "seconds": passes,
        "spread": time.perf_counter() - start,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "parameters": sum(p.numel() for n in networks for p in n.parameters()) * 4 / 2**30,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--case", help="run only this one and print numbers")
    args = parser.parse_args()
    if args.case:
        print(json.dumps(run(*CASES[args.case], args.side, args.threads)))
        return
    found = {}
    for case in CASES:
        command = [sys.executable, __file__, "--case", case]
        command += ["--side", str(args.side), "--threads", str(args.threads)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found[case] = json.loads(out.splitlines()[-1])
    print("| case | seconds | spread, s | peak memory, GiB | of it weights of further members |")
    print("|---|---|---|---|---|")
    one = found["1 draw"]["parameters"]
    for case, n in found.items():
        print(
            f"| {case} | {n['seconds']:.2f} | {n['spread']:.2f} | {n['memory']:.2f} | "
            f"{n['parameters'] - one:.2f} |"
        )
    single, draws = found["20 single passes"], found["20 draws"]
    total = draws["seconds"] + draws["spread"]
    print(f"20 draws with their spread over 20 single passes: {total / single['seconds']:.3f}")
    per = single["seconds"] / 20 / (args.side**2 / 1e6)
    print(f"one pass: {per:.2f} s per megapixel")


if __name__ == "__main__":
    main()
