"""Videos in many containers and codecs, damaged where their structure is, and read as users do.

A file starts as a good one of a few small frames. What is changed is drawn by the seed: boxes,
chunks, elements, packets and their sizes, the times of packets, which streams there are, what
follows the end, or bits.
"""

from __future__ import annotations

import io
import itertools
import os
import random
import re
import resource
import time
import warnings
from collections import Counter
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import av
import numpy as np

from spec_tests.fuzz.limits import SECONDS
from timesformer_ref.input.decoding import DisplayWarning, VideoError, VideoWarning
from timesformer_ref.input.preprocessing import Preprocessing
from timesformer_ref.input.video import read_clip, read_frames, read_windows

os.environ.setdefault("SVT_LOG", "1")  # errors only

SHORT = Preprocessing(num_frames=4, sampling_rate=3, crop=16)
SEGMENTS = Preprocessing(num_frames=4, sampling_rate=None, crop=16)
TOTAL = 20
"""Frames of a good file, 30 a second."""

STEP = 10
"""Brightness between one frame and the next."""


class Form(NamedTuple):
    """A kind of file: the muxer's name where the ending does not say it, and the encoder's."""

    ending: str
    codec: str
    muxer: str | None = None
    options: str = ""
    size: tuple[int, int] = (32, 32)
    pixels: str = "yuv420p"
    rate: int = 30


X264, X265 = "preset=ultrafast", "preset=ultrafast x265-params=log-level=none:pools=none"
VPX = "deadline=realtime cpu-used=8 auto-alt-ref=1"
RAW_FIELDS = Form("h264", "fields")
FORMS = (
    Form("mp4", "libx264", options=f"{X264} bf=2"),
    Form("mp4", "libx264", options=f"{X264} movflags=frag_keyframe+empty_moov g=5"),
    Form("mp4", "mpeg4"), Form("mp4", "libx265", options=X265),
    Form("mp4", "libsvtav1", options="preset=13 svtav1-params=lp=1", size=(64, 64)),
    Form("mov", "mjpeg", pixels="yuvj420p"), Form("mov", "qtrle", pixels="rgb24"),
    Form("mov", "prores", pixels="yuv422p10le"), Form("mov", "png", pixels="rgb24"),
    Form("3gp", "h263", size=(128, 96)), Form("mkv", "libx264", "matroska", X264),
    Form("mkv", "ffv1", "matroska"), Form("mkv", "mpeg2video", "matroska", "bf=2"),
    Form("webm", "libvpx", options=VPX), Form("webm", "libvpx-vp9", options=VPX),
    Form("avi", "mpeg4", options="bf=2"), Form("avi", "mjpeg", pixels="yuvj420p"),
    Form("avi", "huffyuv", pixels="yuv422p"), Form("avi", "rawvideo"), Form("avi", "msmpeg4"),
    Form("avi", "cinepak", pixels="rgb24"), Form("ts", "mpeg2video", "mpegts"),
    Form("ts", "libx264", "mpegts", f"{X264} flags=+ildct x264-params=tff=1"),
    Form("ts", "libx265", "mpegts", X265), Form("mts", "fields", "mpegts"),
    Form("mkv", "fields", "matroska"), RAW_FIELDS, Form("h264", "libx264", options=X264),
    Form("m2v", "mpeg2video", "mpeg2video"), Form("hevc", "libx265", options=X265),
    Form("mpg", "mpeg1video", "mpeg"), Form("vob", "mpeg2video", "vob"),
    Form("gif", "gif", pixels="rgb8"), Form("flv", "flv"), Form("wmv", "wmv2", "asf"),
    Form("asf", "msmpeg4", "asf"), Form("ivf", "libvpx", options=VPX), Form("nut", "mpeg4"),
    Form("y4m", "wrapped_avframe", "yuv4mpegpipe"), Form("mxf", "mpeg2video", rate=25),
    Form("dv", "dvvideo", size=(720, 576), rate=25), Form("ogv", "libvpx", "ogg", VPX),
    Form("rm", "rv10", size=(128, 96)), Form("mjpeg", "mjpeg", pixels="yuvj420p"),
)  # fmt: skip

NUMBERS = (0, 1, 2, 255, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
"""What may stand where a structure has another size, count, or time."""


def make(seed, folder):
    """A file of one seed, and the form if it is undamaged."""
    rng = random.Random(seed)
    form = rng.choice(FORMS)
    path = folder / f"x.{form.ending}"
    if seed is None or rng.random() < 0.05:
        path.write_bytes(good(form))
        return path, form
    data = rng.choice((good, good, good, lambda f: retimed(rng, f), lambda f: several(rng, f)))(
        form
    )
    if rng.random() < 0.1:
        data += good(rng.choice((form, form, rng.choice(FORMS))))
    if rng.random() < 0.9:
        data = damaged(rng, data)
    path.write_bytes(data)
    return path, None


def use(path, form):
    """Read a video in each way that there is; what became of it. All that is said must be clear."""
    said, clips = Counter(), {}
    for pixels in ("stored", "display"):
        for name, read in WAYS.items():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                began = time.process_time()
                try:
                    clips[name, pixels] = read(path, pixels)
                    said["read with a warning" if caught else "read"] += 1
                except VideoError as error:
                    refused(path, error)
                    said["refused by a VideoError"] += 1
            assert time.process_time() - began < SECONDS, (name, pixels)
            for warning in caught:
                clear(path, str(warning.message))
                assert issubclass(warning.category, VideoWarning), warning
                assert not form or warning.category is DisplayWarning, warning.message
    if form:
        seen = np.array([clips["clip", pixels] for pixels in ("stored", "display")])
        assert abs(seen[0] - seen[1]).max() <= 1, clips  # a GIF's times are rounded
    return (
        next(iter(said)) if len(said) == 1 else "read in some ways, refused or warned of in others"
    )


def refused(path, error):
    """Check a refusal: one clear line, and no memory that had run out.

    FFmpeg says so too of a number beyond its own bounds, for which it takes none.
    """
    clear(path, str(error))
    if isinstance(error.__cause__, MemoryError):
        limit = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))
        try:
            av.open(str(path)).close()
        except MemoryError:
            return
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, limit)
        raise AssertionError("took too much memory")


def clear(path, line):
    assert line.startswith(str(path)), f"names no file: {line[:500]}"
    assert "\n" not in line, f"no clear line: {line[:500]}"
    assert len(line) < 500, f"no clear line: {line[:500]}"


def clip(path, pixels, preprocessing=SHORT, **asked):
    found = read_clip(path, preprocessing, pixels=pixels, **asked)
    checked(found)
    return found.frames


def timeline(path, pixels):
    found = []
    for window in read_windows(path, SHORT, pixels=pixels):
        checked(window.clip)
        assert 0 <= window.start < window.end < float("inf")
        assert window.picture.shape[2] == 3
        found += window.clip.frames
        if len(found) == 300:  # of a video that claims to be long
            break
    return found


def training(path, pixels):
    def choose(total, fps):
        return np.array([0, total // 2, total - 1])

    frames = read_frames(path, choose, pixels=pixels)
    assert all(frame.dtype == np.uint8 and frame.ndim == 3 for frame in frames)


def checked(found):
    assert np.isfinite(found.video).all()
    assert found.video.shape[1:] == (4, 3, 16, 16)
    for frames in found.frames:
        # a clip of less than a frame goes back, as the original's
        assert frames in (sorted(frames), sorted(frames, reverse=True)), frames
        assert min(frames) >= 0


READINGS = 10
WAYS = {
    "clip": clip,
    "clips": lambda path, pixels: clip(path, pixels, num_clips=3),
    "segments": lambda path, pixels: clip(path, pixels, SEGMENTS),
    "timeline": timeline,
    "training": training,
}


# What is encoded


@cache
def good(form):
    """A file of numbered frames."""
    return written(form)


def written(form, change=lambda packets: packets, streams=1):
    """A file whose packets were changed, of several streams where there are several."""
    if form == RAW_FIELDS:
        return fields()
    options = dict(option.split("=", 1) for option in form.options.split())
    muxing = {"movflags": options.pop("movflags")} if "movflags" in options else {}
    buffer = io.BytesIO()
    with av.open(buffer, "w", form.muxer or form.ending, options=muxing) as container:
        encode = fields_into if form.codec == "fields" else encoded_into
        groups = [encode(container, form, options) for _ in range(streams)]
        for packet in change([packet for moment in zip(*groups, strict=True) for packet in moment]):
            container.mux_one(packet)
    return buffer.getvalue()


def encoded_into(container, form, options):
    """The packets of numbered frames, by an encoder."""
    stream = container.add_stream(form.codec, form.rate, options=options)
    stream.width, stream.height = form.size
    stream.pix_fmt = form.pixels
    stream.codec_context.thread_count = 1
    frames = [picture(form, number) for number in range(TOTAL)]
    return [packet for frame in [*frames, None] for packet in stream.encode(frame)]


def picture(form, number):
    """A frame whose brightness is its number, with noise on one half."""
    width, height = form.size
    pixels = np.full((height, width, 3), STEP * number + 20, np.uint8)
    noise = np.random.default_rng(number).integers(-5, 6, (height, width // 2, 1))
    pixels[:, width // 2 :] += noise.astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(pixels).reformat(format=form.pixels)
    frame.pts, frame.time_base = number, Fraction(1, form.rate)
    return frame


def fields_into(container, form, options):
    """The packets of numbered frames that are coded as fields."""
    source = av.open(io.BytesIO(fields()), format="h264")
    stream = container.add_stream_from_template(source.streams.video[0])
    packets = [packet for packet in source.demux(video=0) if packet.size]
    for number, packet in enumerate(packets):
        packet.pts = packet.dts = number
        packet.time_base, packet.stream = Fraction(1, 2 * form.rate), stream
    return packets


@cache
def fields():
    """H.264 of 32 × 32 in which each frame is coded as two fields, of blocks as they are.

    Cameras and broadcasters make such files, and no free encoder does.
    """
    code = None  # the width of numbers in Exp-Golomb code
    timing = [(1, 1), *[(0, 1)] * 4, (1, 1), (1, 32), (60, 32), (1, 1), *[(0, 1)] * 4]
    sequence = [(77, 8), (0, 8), (30, 8), (0, code), (0, code), (2, code), (1, code), (0, 1),
                (1, code), (0, code), (0, 1), (0, 1), (1, 1), (0, 1), *timing]  # fmt: skip
    picture = [(0, code), (0, code), (0, 1), (0, 1), *[(0, code)] * 3, (0, 3), *[(0, code)] * 3,
               (0, 3)]  # fmt: skip
    units = [unit(0x67, bits(sequence)), unit(0x68, bits(picture))]
    for number in range(TOTAL):
        for bottom in (0, 1):
            first = number == bottom == 0
            head = [(0, code), (7, code), (0, code), (number % 16, 4), (1, 1), (bottom, 1)]
            head += [(0, code), (0, 2)] if first else [(0, 1)]
            text = bits([*head, (0, code)])
            for _ in range(2):
                text += bits([(25, code)])
                text += (
                    "0" * (-len(text) % 8) + f"{STEP * number + 20:08b}" * 256 + f"{128:08b}" * 128
                )
            units.append(unit(0x25 if first else 0x21, text))
    return b"".join(units)


def bits(numbers):
    """Numbers as bits, each of a width, or in Exp-Golomb code where that is None."""
    text = ""
    for value, width in numbers:
        text += (
            f"{value:0{width}b}" if width else f"{value + 1:0{2 * (value + 1).bit_length() - 1}b}"
        )
    return text


def unit(kind, text):
    """A NAL unit of H.264."""
    text += "1"
    text += "0" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big")
    return b"\0\0\0\1" + bytes([kind]) + re.sub(rb"\0\0(?=[\0-\3])", b"\0\0\3", data)


# What is changed


def retimed(rng, form):
    """A file whose packets have odd times, in another order, or are missing."""
    kind = rng.choice(("gap", "back", "shift", "still", "jitter", "order", "lost", "unsaid"))
    at, by = rng.randrange(TOTAL), rng.choice((1, 7, 1000, 10**6, 2**31, 2**40))

    def change(packets):
        for number, packet in enumerate(packets):
            moved = {"gap": by * (number >= at), "back": -by * (number >= at), "shift": -by,
                     "jitter": rng.randint(-3, 3), "still": -number}.get(kind, 0)  # fmt: skip
            unit = Fraction(1, form.rate) / packet.time_base
            packet.pts += int(moved * unit)
            packet.dts += int(moved * unit)
            if kind == "unsaid" and number >= at:
                packet.pts = packet.dts = None
        if kind == "order":
            rng.shuffle(packets)
        return packets[:1] + [p for p in packets[1:] if kind != "lost" or rng.random() < 0.5]

    return attempted(form, change)


def several(rng, form):
    """A file of two or three streams, which may break off or be but one picture."""
    keep = rng.choice((1, 2, 7, 1000))

    def change(packets):
        first = packets[0].stream.index
        return [p for i, p in enumerate(packets) if p.stream.index != first or i < keep]

    return attempted(form, change, streams=rng.choice((2, 2, 3)))


def attempted(form, *given, **more):
    """A file, or a good one where the muxer refuses what is given."""
    try:
        return written(form, *given, **more)
    except (av.FFmpegError, OverflowError, TypeError, ValueError):
        return good(form)


def damaged(rng, data):
    """A file with some of its parts changed."""
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        parts = parts_of(data)
        start, end, head = rng.choice(parts)
        other = data[slice(*rng.choice(parts)[:2])]
        data = data[:start] + changed(rng, data[start:end], head, other) + data[end:]
    return data[: rng.choice((len(data),) * 5 + (rng.randrange(len(data) + 1),))]


def changed(rng, part, head, other):
    """A part of a file with its head, its bytes or itself in another way, or another part."""
    return rng.choice((
        lambda: b"", lambda: part * 2, lambda: part[: rng.randrange(len(part) + 1)],
        lambda: flipped(rng, part, 0.001), lambda: flipped(rng, part, 0.05),
        lambda: numbered(rng, part, 0, head), lambda: numbered(rng, part, 0, head),
        lambda: numbered(rng, part, head, len(part)), lambda: hidden(part, head),
        lambda: part[:head] + bytes(len(part) - head), lambda: other,
    ))()  # fmt: skip


def flipped(rng, part, share):
    """Bytes of which a share has a bit flipped."""
    part = bytearray(part)
    for _ in range(1 + int(share * len(part)) if part else 0):
        part[rng.randrange(len(part))] ^= 1 << rng.randrange(8)
    return bytes(part)


def numbered(rng, part, first, last):
    """Bytes with another number somewhere between the two places."""
    width, at = rng.choice((1, 2, 4, 4, 8)), rng.randint(first, max(first, last - 1))
    number = rng.choice((*NUMBERS, rng.getrandbits(32))) % 256**width
    return part[:at] + number.to_bytes(width, rng.choice(("big", "little"))) + part[at + width :]


def hidden(part, head):
    """A box or chunk as one that readers pass over."""
    return part[:4] + b"free" + part[8:] if part[4:8].isalpha() else b"JUNK" + part[4:]


def parts_of(data):
    """Where the parts of a file start and end, and how long their heads are; of nested ones too."""
    if data[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide"):
        found = boxes(data, 0, len(data))
    elif data[:4] == b"RIFF":
        found = chunks(data, 0, len(data))
    elif data[:4] == bytes.fromhex("1a45dfa3"):
        found = elements(data, 0, len(data))
    elif data[:3] == b"FLV":
        found = tags(data)
    else:
        found = split(data)
    return list(found) or [(0, len(data), 0)]


PARENTS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf", b"mvex", b"dinf")


def boxes(data, start, end):
    """Of mp4, mov and 3gp."""
    while start + 8 <= end:
        size = int.from_bytes(data[start : start + 4], "big")
        if not 8 <= size <= end - start:
            break
        yield start, start + size, 8
        if data[start + 4 : start + 8] in PARENTS:
            yield from boxes(data, start + 8, start + size)
        start += size


def chunks(data, start, end):
    """Of avi."""
    while start + 8 <= end:
        after = start + 8 + int.from_bytes(data[start + 4 : start + 8], "little")
        if after > end:
            break
        yield start, after, 8
        if data[start : start + 4] in (b"RIFF", b"LIST"):
            yield from chunks(data, start + 12, after)
        start = after + after % 2


MASTERS = ("1a45dfa3", "18538067", "1654ae6b", "ae", "e0", "1f43b675", "a0", "1c53bb6b", "bb", "b7")


def elements(data, start, end):
    """Of mkv and webm."""
    while start + 2 <= end:
        name = 9 - data[start].bit_length()
        width = 9 - data[min(start + name, end - 1)].bit_length()
        head = name + width
        size = int.from_bytes(data[start + name : start + head], "big") & (1 << 7 * width) - 1
        after = start + head + size
        if after > end or name > 4 or width > 8:
            break
        yield start, after, head
        if data[start : start + name].hex() in MASTERS:
            yield from elements(data, start + head, after)
        start = after


def tags(data):
    """Of flv."""
    start = 13
    while start + 11 < len(data):
        after = start + 15 + int.from_bytes(data[start + 1 : start + 4], "big")
        yield start, min(after, len(data)), 11
        start = after


MARKS = {b"\0\0\1": 4, b"OggS": 27, b"FRAME": 6, b"\xff\xd8": 4, b"!\xf9": 8}
"""How the parts of other formats begin, and how long their heads are."""


def split(data):
    """Of transport streams, raw streams and others: at their marks, else in equal parts."""
    mark = max(MARKS, key=data.count)
    if data[:1] == b"G" and data[188:189] == b"G":
        starts, head = range(0, len(data), 188), 12
    elif data.count(mark) > TOTAL // 2:
        starts, head = [m.start() for m in re.finditer(re.escape(mark), data)], MARKS[mark]
    else:
        starts, head = range(0, len(data), max(len(data) // 60, 16)), 8
    for start, after in itertools.pairwise([0, *starts, len(data)]):
        if start < after:
            yield start, after, min(head, after - start)
