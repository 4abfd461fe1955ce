"""What a TIFF says of itself: sizes, times and channels of OME, ImageJ, LSM, SVS and our own."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from xml.etree import ElementTree

from delineate.io.units import micrometres, seconds

_LARGEST_PIXEL = 100.0
"""Micrometres; a plain TIFF's resolution above it is a printer's, not a microscope's."""


class Metadata(NamedTuple):
    """Pixel size along the axes that the file knows, its unit, and names of the channels.

    `frame_interval` are the seconds between two time points, None where the file is silent.
    """

    pixel_size: dict[str, float]
    unit: str
    channels: tuple[str, ...]
    frame_interval: float | None = None


def metadata(file: Any, series: Any) -> Metadata:
    """Metadata of one series of an open TIFF; empty where the file says nothing.

    Parameters
    ----------
    file : tifffile.TiffFile.
    series : tifffile.TiffPageSeries of that file.
    """
    if file.is_ome:
        return _ome(str(file.ome_metadata or ""), file.series.index(series))
    if file.is_imagej:
        return _imagej(file, series)
    if file.is_lsm:
        return _lsm(file.lsm_metadata or {})
    page = series.keyframe
    if file.is_shaped:
        known = (file.shaped_metadata or [{}])[0]
        names = known.get("Channels", ())
        sizes = {a: known[f"PhysicalSize{a}"] for a in "ZYX" if f"PhysicalSize{a}" in known}
        interval = seconds(known.get("TimeIncrement"), str(known.get("TimeIncrementUnit", "s")))
        if sizes or names or interval:
            scaled, unit = micrometres(sizes, str(known.get("PhysicalSizeUnit", "µm")))
            return Metadata(scaled, unit, tuple(str(name) for name in names), interval)
    found = re.search(r"\bMPP\s*=\s*([0-9.eE+-]+)", str(page.description or ""))
    if found:
        size = float(found[1])
        return Metadata(*micrometres({"Y": size, "X": size}, "µm"), ())
    return Metadata(_resolution(page), "µm", ())


def _resolution(page: Any) -> dict[str, float]:
    """Pixel size by the resolution tags, where their unit is the centimetre and it is credible.

    Inches are ignored: programs write 72, 96 or 300 dots an inch into images of any scale.
    """
    unit = page.tags.get("ResolutionUnit")
    if unit is None or int(unit.value) != 3:
        return {}
    sizes, _ = micrometres(_per_pixel(page), "cm")
    return sizes if sizes and max(sizes.values()) <= _LARGEST_PIXEL else {}


def _per_pixel(page: Any) -> dict[str, float]:
    sizes = {}
    for axis, name in (("Y", "YResolution"), ("X", "XResolution")):
        tag = page.tags.get(name)
        if tag is not None and tag.value[0] and tag.value[1]:
            sizes[axis] = tag.value[1] / tag.value[0]
    return sizes


def _imagej(file: Any, series: Any) -> Metadata:
    known = file.imagej_metadata or {}
    sizes = _per_pixel(series.keyframe)
    if known.get("spacing"):
        sizes["Z"] = abs(float(known["spacing"]))
    scaled, unit = micrometres(sizes, str(known.get("unit", "")))
    # ImageJ leaves its own unit, the second, unsaid.
    interval = seconds(known.get("finterval"), str(known.get("tunit") or "sec"))
    return Metadata(scaled, unit, _imagej_channels(known), interval)


def _imagej_channels(known: dict[str, Any]) -> tuple[str, ...]:
    """Names by the labels of the slices, channels running fastest: those of the first plane."""
    channels = int(known.get("channels", 1))
    labels = known.get("Labels") or ()
    if isinstance(labels, str):
        labels = (labels,)
    names = tuple(str(label).strip() for label in labels[:channels])
    if len(names) < channels or not all(names) or len(set(names)) < channels:
        return ()
    return names


def _lsm(known: dict[str, Any]) -> Metadata:
    sizes = {a: known[f"VoxelSize{a}"] for a in "ZYX" if known.get(f"VoxelSize{a}")}
    colors = known.get("ChannelColors") or {}
    names = tuple(str(name) for name in colors.get("ColorNames", ()))
    # The specification spells it so.
    return Metadata(*micrometres(sizes, "m"), names, seconds(known.get("TimeIntervall"), "s"))


def _ome(text: str, number: int) -> Metadata:
    """Metadata of the image `number` of an OME-XML text."""
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return Metadata({}, "µm", ())
    images = root.findall("{*}Image")
    pixels = images[number].find("{*}Pixels") if number < len(images) else None
    if pixels is None:
        return Metadata({}, "µm", ())
    sizes: dict[str, float] = {}
    units = set()
    for axis in "ZYX":
        value = pixels.get(f"PhysicalSize{axis}")
        if value is None:
            continue
        scaled, unit = micrometres(
            {axis: float(value)}, pixels.get(f"PhysicalSize{axis}Unit", "µm")
        )
        sizes |= scaled
        units |= {unit} if scaled else set()
    if len(units) > 1:
        sizes, units = {}, set()
    names = tuple(channel.get("Name") or "" for channel in pixels.findall("{*}Channel"))
    return Metadata(
        sizes,
        units.pop() if units else "µm",
        names if all(names) else (),
        seconds(pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s")),
    )
