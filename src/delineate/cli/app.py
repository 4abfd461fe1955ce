"""The commands and where each of them lies; nothing is imported before it is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App

COMMANDS = {
    "predict": "Segment images with a model: labels, tables and a report.",
    "train": "Train a model on images with labels, by a recipe or with no configuration at all.",
    "evaluate": "Score predicted labels against true ones: AP, Dice, PQ and more, with intervals.",
    "decode": "Decode kept maps again with other thresholds, without running the network.",
    "export": "Write the outlines of predicted objects for ImageJ, QuPath or as text.",
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
    from cyclopts import App

    from delineate import __version__

    app = App(
        name="delineate",
        help="Microscopy images into segmentations, and how far each can be trusted.\n\n"
        "Every command takes --verbose, and --debug to show tracebacks.",
        help_epilogue=EPILOGUE,
        help_format="markdown",
        version=__version__,
    )
    for name, text in COMMANDS.items():
        if name == chosen:
            module = importlib.import_module(f"delineate.cli.{name}")
            app.command(getattr(module, name), name=name, help_format="markdown")
        else:
            app.command(f"delineate.cli.{name}:{name}", name=name, help=text)
    return app
