"""Ways of running the residual U-Net (6.6 million parameters) on the CPU, side by side.

python benchmarks/network_speed.py --threads 2 --compile --onnx

--compile needs a C++ compiler, --onnx: pip install onnx onnxscript onnxruntime.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from delineate.networks.residual_unet import ResidualUNet


def forward(module: Callable, data: torch.Tensor, bf16: bool) -> object:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        return module(data)


def best(run: Callable[[], object], repeats: int) -> float:
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sides", type=int, nargs="+", default=[224, 512, 1024])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--onnx", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    network = ResidualUNet(2, 3).eval()
    print(f"| {args.threads} threads | side | s per Mpx | speed |\n|---|---|---|---|")
    for side in args.sides:
        x = torch.randn(1, 2, side, side)
        last = x.contiguous(memory_format=torch.channels_last)
        folded = network.folded().to(memory_format=torch.channels_last)
        plain = ResidualUNet(2, 3).eval()
        plain.load_state_dict(network.state_dict())
        ways: dict[str, Callable[[], object]] = {}

        def add(name: str, module: Callable, data: torch.Tensor, bf16: bool, ways=ways) -> None:
            ways[name] = partial(forward, module, data, bf16)

        add("eager fp32", plain, x, False)
        channels = ResidualUNet(2, 3).eval().to(memory_format=torch.channels_last)
        channels.load_state_dict(network.state_dict())
        add("channels last fp32", channels, last, False)
        add("folded, channels last fp32", folded, last, False)
        add("channels last bf16", channels, last, True)
        add("folded, channels last bf16", folded, last, True)
        if args.compile:
            add("compiled, channels last fp32", torch.compile(channels), last, False)
            add("compiled, channels last bf16", torch.compile(channels), last, True)
        if args.onnx:
            ways["ONNX Runtime fp32"] = onnx_run(network, x, args.threads)
        base = None
        for name, run in ways.items():
            seconds = best(run, args.repeats) / (side**2 / 1e6)
            base = base or seconds
            print(f"| {name} | {side} | {seconds:.3f} | {base / seconds:.2f}× |", flush=True)


def onnx_run(network: torch.nn.Module, x: torch.Tensor, threads: int) -> Callable[[], object]:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        torch.onnx.export(network, (x,), f"{folder}/net.onnx", dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(f"{folder}/net.onnx", options)
    feed = {session.get_inputs()[0].name: x.numpy()}
    expected = network(x).detach().numpy()
    assert np.abs(session.run(None, feed)[0] - expected).max() < 1e-2
    return lambda: session.run(None, feed)


if __name__ == "__main__":
    main()
