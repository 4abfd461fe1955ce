"""Minimal CZI, ND2 and LIF files for the tests, since real ones are large."""

import re
import struct

import numpy as np


def write_czi_movie(path, frames, interval):
    """CZI of frames (T, Y, X) whose metadata give the time between two of them as `interval`.

    The library that writes it cannot say that: it takes the place of the name of a channel.
    """
    from pylibCZIrw.czi import create_czi

    with create_czi(str(path)) as file:
        for t, frame in enumerate(frames):
            file.write(frame, plane={"T": t, "C": 0, "Z": 0})
        file.write_metadata("movie", channel_names={0: "n" * 200}, scale_x=5e-7, scale_y=5e-7)
    step = f"<T><Positions><Interval><Increment>{interval}</Increment></Interval></Positions></T>"
    content = path.read_bytes()
    room = re.search(rb"<Channels>.*?</Channels>", content, re.S)
    assert room is not None
    told = step.encode().ljust(len(room[0]))
    path.write_bytes(content[: room.start()] + told + content[room.end() :])


def write_lif(path, images):
    """LIF (version 2) of named arrays with the axes ``T C Z Y X`` or ``Y X S``.

    A pixel is 0.5 µm wide, planes are 2 µm and frames 30 s apart.
    """
    step = {"X": 5e-7, "Y": 5e-7, "Z": 2e-6, "T": 30.0}
    elements, blocks = [], []
    for number, (name, axes, pixels, luts) in enumerate(images):
        strides = dict(zip(axes, pixels.strides, strict=True))
        dims = "".join(
            f'<DimensionDescription DimID="{ {"X": 1, "Y": 2, "Z": 3, "T": 4}[a] }" '
            f'NumberOfElements="{n}" Origin="0" Length="{(n - 1) * step[a]}" '
            f'Unit="{"s" if a == "T" else "m"}" BitInc="0" BytesInc="{strides[a]}"/>'
            for a, n in reversed(list(zip(axes, pixels.shape, strict=True)))
            if a in "XYZT"
        )
        channel_axis = next((a for a in "CS" if a in axes), None)
        apart = strides[channel_axis] if channel_axis else 0
        channels = "".join(
            f'<ChannelDescription DataType="0" ChannelTag="{c + 1 if channel_axis == "S" else 0}" '
            f'Resolution="{8 * pixels.itemsize}" NameOfMeasuredQuantity="" Min="0" Max="255" '
            'Unit="" '
            f'LUTName="{lut}" IsLUTInverted="0" BytesInc="{c * apart}" BitInc="0"/>'
            for c, lut in enumerate(luts)
        )
        elements.append(
            f'<Element Name="{name}" UniqueID="u{number}"><Data><Image><ImageDescription>'
            f"<Channels>{channels}</Channels><Dimensions>{dims}</Dimensions>"
            f'</ImageDescription></Image></Data><Memory Size="{pixels.nbytes}" '
            f'MemoryBlockID="MemBlock_{number}"/></Element>'
        )
        blocks.append((f"MemBlock_{number}", pixels.tobytes()))
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="project" UniqueID="p"><Children>'
        f"{''.join(elements)}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    with path.open("wb") as file:
        file.write(struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml)
        for name, data in blocks:
            text = name.encode("utf-16-le")
            size = struct.calcsize("<BQBI") + len(text)
            file.write(struct.pack("<IIBQBI", 0x70, size, 0x2A, len(data), 0x2A, len(name)))
            file.write(text + data)


def write_nd2(path, frames, loops, channels, calibration, with_probe=True, period=1.0, measured=0):
    """ND2 (version 3) of frames (n, Y, X, components) with nested loops [("P"|"Z"|"T", count)].

    The time between two points is asked for as `period` and measured as `measured` milliseconds.
    """
    _, height, width, components = frames.shape
    attributes = {
        "uiWidth": width,
        "uiWidthBytes": width * components * frames.itemsize,
        "uiHeight": height,
        "uiComp": components,
        "uiBpcInMemory": 8 * frames.itemsize,
        "uiBpcSignificant": 8 * frames.itemsize,
        "uiSequenceCount": len(frames),
        "eCompression": 2,
    }
    points = {"pPoint": {"Point0": {"dTValue": 1.0, "dWavelength": 500.0}}}
    spectra = {"m_ExcitationSpectrum": points, "m_EmissionSpectrum": points}
    probe = {"pFluorescentProbe": spectra} if with_probe else {}
    planes = {
        f"a{i}": {"sDescription": name, "uiCompCount": components // len(channels), **probe}
        for i, name in enumerate(channels)
    }
    metadata = {
        "bCalibrated": True,
        "dCalibration": calibration,
        "sPicturePlanes": {"uiCount": len(channels), "sPlaneNew": planes},
    }
    chunks = [
        ("ImageAttributesLV!", _variant({"SLxImageAttributes": attributes})),
        ("ImageMetadataSeqLV|0!", _variant({"SLxPictureMetadata": metadata})),
    ]
    if loops:
        experiment = _experiment(loops, period, measured)
        chunks.append(("ImageMetadataLV!", _variant({"SLxExperiment": experiment})))
    chunks += [(f"ImageDataSeq|{i}!", bytes(8) + f.tobytes()) for i, f in enumerate(frames)]
    places = []
    with path.open("wb") as file:
        file.write(_chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0"), 32))
        for name, data in chunks:
            places.append((name.encode(), file.tell(), len(data)))
            # The pixels stand 4096 bytes after the beginning of their chunk, 8 of them a time.
            file.write(_chunk(name.encode(), data, 4096 - 16 - 8))
        location = file.tell()
        table = b"".join(name + struct.pack("<QQ", *place) for name, *place in places)
        end = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", location)
        file.write(_chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", table + end, 32))


def _chunk(name, data, reserved):
    return struct.pack("<IIQ", 0x0ABECEDA, reserved, len(data)) + name.ljust(reserved, b"\0") + data


def _experiment(loops, period, measured):
    (kind, count), *inner = loops
    points = {f"i{i:010}": {"dPosX": float(i), "dPosY": 0.0, "dPosZ": 0.0} for i in range(count)}
    times = {"dStart": 0.0, "dPeriod": period, "dDuration": 0.0, "dAvgPeriodDiff": measured}
    level = {
        "P": {"eType": 2, "uLoopPars": {"uiCount": count, "Points": points}},
        "Z": {"eType": 4, "uLoopPars": {"uiCount": count, "dZStep": 2.5}},
        "T": {"eType": 1, "uLoopPars": {"uiCount": count, **times}},
    }[kind]
    return (
        {**level, "ppNextLevelEx": {"i0000000000": _experiment(inner, period, measured)}}
        if inner
        else level
    )


def _variant(value, name="variant"):
    if isinstance(value, dict):
        inner = b"".join(_variant(child, key) for key, child in value.items())
        return f"<{name} runtype='CLxListVariant'>".encode() + inner + f"</{name}>".encode()
    kind = {bool: "bool", int: "lx_int32", float: "double", str: "CLxStringW"}[type(value)]
    text = str(value).lower() if isinstance(value, bool) else value
    return f"<{name} runtype='{kind}' value='{text}'/>".encode()


def numbered(*shape, dtype=np.uint16):
    """Array in which every pixel has a value of its own."""
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)
