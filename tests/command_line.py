"""Commands as a person types them, in this process and in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from delineate.cli import main
from delineate.io import read_labels

HERE = Path(__file__).parent
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "80",
}


def call(*arguments: object) -> int:
    """Run a command in this process; its exit status."""
    with pytest.raises(SystemExit) as exit_:
        main([str(a) for a in arguments])
    return int(exit_.value.code or 0)


def predict_command(images: object, out: object, model: object) -> list[str]:
    """The arguments with which the stand-in model predicts."""
    return ["predict", str(images), "-o", str(out), "--model", str(model), "--allow-imports"]


def start(arguments: list[str], **kwargs: object) -> subprocess.Popen[str]:
    """Run a command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "delineate", *arguments],
        env=ENVIRONMENT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **kwargs,  # type: ignore[call-overload]
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until a file exists that the process writes."""
    for _ in range(600):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    raise AssertionError(f"{path} was never written")


def label_files(out: Path) -> dict[str, np.ndarray]:
    """Labels of a run by the names of their files."""
    found = sorted((out / "labels").rglob("*.tif"))
    return {p.name: read_labels(p) for p in found if not p.name.startswith(".")}
