"""Which files are whose: masks of several experts in folders of theirs, or told apart by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from delineate.errors import DataError
from delineate.io import FORMATS, find_images, natural_key


@dataclass(frozen=True)
class ExpertFiles:
    """Masks of every expert.

    Parameters
    ----------
    experts : names of the experts, in natural order or in that of the folders given.
    files : for each image, in natural order of names, the file of each expert who has one.
    rule : how the files were told apart, in words.
    hint : what looks wrong about the names of the images, or "".
    """

    experts: tuple[str, ...]
    files: Mapping[str, Mapping[str, Path]]
    rule: str
    hint: str = ""

    def missing(self, image: str) -> tuple[str, ...]:
        """Experts who have no mask of an image."""
        return tuple(e for e in self.experts if e not in self.files[image])


def find_experts(
    sources: Sequence[Path], pattern: str | None = None, endings: Collection[str] = ()
) -> ExpertFiles:
    """Find the masks of several experts.

    Parameters
    ----------
    sources : several folders, one an expert; or one folder with a folder for each expert; or, with
        `pattern`, one folder whose file names say who drew what. Masks of one image have the same
        path within their folders, but for the suffix.
    pattern : such as ``"{image}_{expert}.png"`` or ``"{expert}/{image}"``: path of a file within
        the folder. `{expert}` is as short as possible and has no slash; `{image}` is the rest.
    endings : ends of names that are left out, such as ``"_mask"``.

    Raises
    ------
    DataError : a folder does not exist, there are fewer than two experts, the pattern is not one
        or fits no file, two files are one expert's mask of one image, or an expert shares no image
        with any other.
    ReadError : a folder holds no files that can be read.
    """
    sources = [Path(source) for source in sources]
    for source in sources:
        if not source.is_dir():
            raise DataError(f"{source}: is not a folder; give folders of masks")
    if pattern is not None:
        if len(sources) != 1:
            raise DataError(f"--pattern needs one folder, {len(sources)} are given")
        of_expert = _by_pattern(sources[0], pattern)
        rule = f"files of {sources[0]} by the pattern {pattern}"
    else:
        folders = sources if len(sources) > 1 else _inner_folders(sources[0])
        names = _names(folders)
        of_expert = {}
        for name, folder in zip(names, folders, strict=True):
            of_expert[name] = [(file.name, file.path) for file in find_images(folder)]
        rule = f"one folder an expert: {', '.join(names)}"
    if len(of_expert) < 2:
        raise DataError(
            f"{sources[0]}: masks of one expert only ({', '.join(of_expert)}); a consensus needs "
            "two or more"
        )
    by_expert = {e: _by_image(e, files, endings) for e, files in of_expert.items()}
    _check_shared(by_expert)
    images = sorted({name for files in by_expert.values() for name in files}, key=natural_key)
    return ExpertFiles(
        tuple(by_expert),
        {i: {e: files[i] for e, files in by_expert.items() if i in files} for i in images},
        rule,
        "" if pattern is None else _hint(images, pattern),
    )


def _inner_folders(folder: Path) -> list[Path]:
    inner = [
        p
        for p in folder.iterdir()
        # An earlier consensus within the folder is no expert.
        if p.is_dir() and not p.name.startswith((".", "__")) and not (p / ".delineate").is_dir()
    ]
    if not inner:
        raise DataError(
            f"{folder}: has no folder for each expert. Give several folders, or one that holds a "
            'folder for each expert, or --pattern "{image}_{expert}.png" for files in one folder'
        )
    return sorted(inner, key=lambda p: natural_key(p.name))


def _names(folders: Sequence[Path]) -> list[str]:
    """Names of folders: the last part, or as many parts as it takes to tell them apart."""
    resolved = [folder.resolve() for folder in folders]
    if len(set(resolved)) < len(resolved):
        twice = next(f for f, n in Counter(resolved).items() if n > 1)
        raise DataError(f"{twice}: is given twice; each expert has a folder of their own")
    for depth in range(1, max(len(folder.parts) for folder in resolved)):
        names = ["/".join(folder.parts[-depth:]) for folder in resolved]
        if len({name.casefold() for name in names}) == len(names):
            return names
    return [folder.as_posix() for folder in resolved]


def _by_pattern(folder: Path, pattern: str) -> dict[str, list[tuple[str, Path]]]:
    """Files of each expert by a pattern of their paths."""
    if pattern.count("{image}") != 1 or pattern.count("{expert}") != 1:
        raise DataError(
            f"--pattern {pattern}: expected {{image}} and {{expert}}, each once, such as "
            '"{image}_{expert}.png"'
        )
    text = re.escape(pattern).replace(r"\{image\}", "(?P<image>.+)")
    form = re.compile(text.replace(r"\{expert\}", "(?P<expert>[^/]+?)"))
    whole = Path(pattern).suffix.lower() in FORMATS
    found: dict[str, list[tuple[str, Path]]] = {}
    other = ""
    for file in find_images(folder):
        path = file.path.relative_to(folder).as_posix()
        match = form.fullmatch(path if whole else file.name)
        if match is None:
            other = other or path
            continue
        found.setdefault(match["expert"], []).append((match["image"], file.path))
    if not found:
        raise DataError(
            f"{folder}: no file fits the pattern {pattern}; there is for instance {other}"
        )
    return dict(sorted(found.items(), key=lambda item: natural_key(item[0])))


def _hint(images: Sequence[str], pattern: str) -> str:
    """A hint where the last word of every image name seems to belong to the expert, or "".

    That word is what `{image}` took too much of, since it is as long as possible, where it stands
    before `{expert}` and ends in the same word in all of several names.
    """
    if len(images) < 2 or pattern.index("{image}") > pattern.index("{expert}"):
        return ""
    last = re.compile(r"(.*[^_\-. /])([_\-. /]+[^\W\d_][^_\-. /]*)", re.DOTALL)
    found = [last.fullmatch(name) for name in images]
    ends = {match and match[2] for match in found}
    (end,) = ends if len(ends) == 1 else (None,)
    if end is None or found[0] is None:
        return ""
    other = pattern.replace("{image}", "{image}" + end)
    return (
        f'by the pattern {pattern} every image name ends in "{end}" ({images[0]} …); where images '
        f'have names such as {found[0][1]}, give --pattern "{other}"'
    )


def _by_image(
    expert: str, files: Sequence[tuple[str, Path]], endings: Collection[str]
) -> dict[str, Path]:
    """Files of an expert by the names of their images."""
    found: dict[str, Path] = {}
    for name, path in files:
        for ending in endings:
            name = name.removesuffix(ending)
        if name in found:
            raise DataError(f"{expert}: two masks of the image {name}: {found[name]} and {path}")
        found[name] = path
    return found


def _check_shared(by_expert: Mapping[str, Mapping[str, Path]]) -> None:
    """Raise where an expert has no image in common with any other."""
    count = Counter(name for files in by_expert.values() for name in files)
    for expert, files in by_expert.items():
        if all(count[name] == 1 for name in files):
            own = next(iter(files))
            other = next(name for e, found in by_expert.items() if e != expert for name in found)
            raise DataError(
                f"{expert}: shares no image name with the other experts; it has for instance "
                f"{own}, another has {other}. Masks of one image need the same name"
            )
