"""The commands and where each of them lies; nothing is imported before it is used."""

from __future__ import annotations

import importlib
import inspect
import keyword
import re
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cyclopts import App

COMMANDS = {
    "predict": "Segment or transform images with a model: labels or images, tables and a report.",
    "train": "Train a model on images with labels or target images, with no configuration at all.",
    "evaluate": "Score labels by AP, Dice, PQ …, or images by PSNR, SSIM …, against true ones.",
    "consensus": "Estimate one ground truth from several experts, and show how far they agree.",
    "review": "Judge a finished run anew, and hold it against truth and experts.",
    "decode": "Decode kept maps again with other thresholds, without running the network.",
    "export": "Write the outlines of predicted objects for ImageJ, QuPath or as text.",
    "import": "Make labels for training of outlines that were corrected in Fiji or QuPath.",
    "recipes": "List the recipes of the package, print one, or list every setting.",
    "info": "Tell what is in an image, a label file, a model, or this installation.",
}

EPILOGUE = """
Segment a folder of images with the model of the package:

    delineate predict my-images -o out

Train a model of your own on a folder with images/ and labels/, and use it:

    delineate train my-data -o run
    delineate predict new-images -o out --model run/model
"""


def make_app(chosen: str = "") -> App:
    """The application with all its commands; only the chosen one is imported, for its full help."""
    from cyclopts import App, Parameter

    from delineate import __version__

    app = App(
        name="delineate",
        help="Microscopy images into segmentations, and how far each can be trusted.\n\n"
        "Every command takes --verbose, and --debug to show tracebacks.",
        help_epilogue=EPILOGUE,
        help_format="markdown",
        version=__version__,
        # Switches are off until they are named: neither --no-… nor [default: False] helps anyone.
        default_parameter=Parameter(negative=(), show_default=_worth_showing),
        suppress_keyboard_interrupt=False,
    )
    for order, (name, text) in enumerate(COMMANDS.items()):
        if name == chosen:
            module = importlib.import_module(f"delineate.cli.{python_name(name)}")
            function = getattr(module, python_name(name))
            app.command(
                function,
                name=name,
                help=_description(function),
                sort_key=order,
                help_format="markdown",
                help_epilogue="",
            )
        else:
            place = f"delineate.cli.{python_name(name)}:{python_name(name)}"
            app.command(place, name=name, help=text, sort_key=order)
    return app


def python_name(command: str) -> str:
    """Name of a command as Python lets functions and modules be called: ``import_``."""
    return f"{command}_" if keyword.iskeyword(command) else command


def _description(function: Callable[..., int]) -> str:
    """What a docstring says before its parameters, as Markdown with the examples fenced.

    Left to themselves, examples that come first lose their indentation, and with it their lines.
    """
    text, _, _ = inspect.cleandoc(function.__doc__ or "").partition("\nParameters\n---")
    return re.sub(
        r"(?m)(?:^    .*\n?)+",
        lambda match: f"```text\n{textwrap.dedent(match[0]).rstrip()}\n```\n",
        text,
    )


def _worth_showing(default: Any) -> Any:
    """A default as the help shows it; None hides it."""
    return None if default is False else default
