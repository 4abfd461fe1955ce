"""Where networks compute: the device, its floating type and its memory format, by name."""

from __future__ import annotations

import platform

import torch

from delineate.errors import ModelError


def resolve_device(name: str) -> torch.device:
    """The device of a name; "auto" is CUDA, else Apple's MPS, else the CPU.

    Raises
    ------
    ModelError : the device does not exist on this machine.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    known = "expected auto, cpu, cuda, cuda:1 or mps"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"device {name!r} is not usable here: {known}") from error
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        # The lines after the first are for developers.
        reason = known if device.type not in ("cuda", "mps") else str(error).partition("\n")[0]
        raise ModelError(f"device {name!r} is not usable here: {reason}") from error
    return device


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device computes bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    # oneDNN also says yes where it emulates bfloat16, which is slower than float32: on x86 the
    # instructions are asked for. These questions are private to torch; one that is gone means no.
    if platform.machine().lower() in ("arm64", "aarch64"):
        questions = [getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)]
    else:
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        questions = [getattr(torch.cpu, name, None) for name in names]
    return any(ask() for ask in questions if ask is not None)


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """The floating type of a name; "auto" is bfloat16 where the hardware has it, else float32."""
    if name == "auto":
        name = "bf16" if has_fast_bf16(device) else "fp32"
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[name]


def channels_last(ndim: int) -> torch.memory_format:
    """The memory format in which convolutions of so many spatial axes are fastest."""
    return torch.channels_last if ndim == 2 else torch.channels_last_3d
