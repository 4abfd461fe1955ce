"""The option ``--axes``, which means the same in all commands, and what their helps say of it."""

from __future__ import annotations


def axes_help(files: str = "files") -> str:
    """Text on the option.

    Parameters
    ----------
    files : whose axes it gives, in the plural.
    """
    return (
        f"Axes of {files} that do not say, such as ZYX, TYX, CYX or YXC; with a !, as in TYX!, "
        f"also of {files} that say something else."
    )
