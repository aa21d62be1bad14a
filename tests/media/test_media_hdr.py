"""HDR clips come out in ordinary colours: the way there is the inverse of the standards' own."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

av = pytest.importorskip("av")

from dwpose_infer.images import read_image
from dwpose_infer.media import hdr, open_source

CODES = {"PQ": 16, "HLG": 18}


def hdr_signal(image_bgr, transfer):
    """R'G'B' of BT.2020 in PQ or HLG, of a picture whose white is at 203 cd/m2."""
    sdr = (image_bgr[..., ::-1] / 255.0) ** hdr.SDR_GAMMA
    light = (sdr @ np.linalg.inv(hdr.BT2020_TO_BT709).T * hdr.REFERENCE_WHITE).clip(0, None)
    if transfer == "PQ":
        m1, m2 = 2610 / 16384, 2523 / 4096 * 128
        c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
        power = (light / 10_000) ** m1
        return ((c1 + c2 * power) / (1 + c3 * power)) ** m2
    display = light / hdr.HLG_PEAK
    luminance = np.maximum(display @ hdr.BT2020_LUMINANCE, 1e-9)[..., None]
    scene = display * luminance ** (1 / 1.2 - 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    high = a * np.log(np.maximum(12 * scene - b, 1e-9)) + c
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


def hdr_frame(image_bgr, transfer):
    signal = (hdr_signal(image_bgr, transfer) * 65535).round().astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(signal, format="rgb48le")
    frame = frame.reformat(format="yuv420p10le", dst_colorspace=9, dst_color_range=1)
    frame.colorspace, frame.color_range = 9, 1
    frame.color_trc, frame.color_primaries = CODES[transfer], 9
    return frame


def hdr_clip(path, image_bgr, transfer, frames=3):
    height, width = image_bgr.shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx265", rate=25, options={"x265-params": "log-level=none:crf=8:bframes=0"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p10le"
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = CODES[transfer], 9, 9
        context.color_range, context.time_base = 1, Fraction(1, 25)
        for index in range(frames):
            frame = hdr_frame(image_bgr, transfer)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def photo(astronaut):
    return cv2.resize(read_image(astronaut), (256, 256), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
def test_colours_are_those_of_the_ordinary_picture(photo, transfer):
    mapped = hdr.ToneMapper(av, transfer)(hdr_frame(photo, transfer)).to_ndarray()
    below_the_knee = photo.max(axis=2) < 255 * hdr.KNEE ** (1 / hdr.SDR_GAMMA) - 5
    difference = np.abs(mapped.astype(int) - photo)[below_the_knee]
    # Half the colours' resolution costs most of it. 2.03 for PQ with PyAV 17.1, less with 18.1.
    assert difference.mean() < 2.1
    # As decoders give it, it is grey.
    plain = hdr_frame(photo, transfer).to_ndarray(format="bgr24")
    assert plain.std() < {"PQ": 0.7, "HLG": 0.9}[transfer] * photo.std()
    assert mapped.std() == pytest.approx(photo.std(), rel=0.06)


@pytest.mark.skipif("libx265" not in av.codecs_available, reason="no encoder for HDR")
@pytest.mark.parametrize("transfer", ["PQ", "HLG"])
def test_a_clip(tmp_path, photo, transfer, caplog):
    clip = hdr_clip(tmp_path / "hdr.mp4", photo, transfer)
    with open_source(clip) as source:
        frames = list(source)
    assert len(frames) == 3
    for frame in frames:
        assert frame.image_bgr.shape == photo.shape
        assert np.abs(frame.image_bgr.astype(int) - photo).mean() < 6  # lossy as well
    said = [record.message for record in caplog.records if "HDR" in record.message]
    assert len(said) == 1 and f"HDR ({transfer})" in said[0]


def test_white_and_black_and_highlights():
    """Values of BT.2100 and BT.2408: PQ 0.58 is 203 cd/m2, HLG 0.75 on a 1000 cd/m2 display too."""
    assert hdr.pq_light(np.array([0.0, 0.5807, 1.0])) == pytest.approx([0, 203, 10_000], rel=2e-3)
    grey = np.full(3, 0.75)
    assert hdr.hlg_light(grey) == pytest.approx([203, 203, 203], rel=2e-3)
    assert hdr.hlg_light(np.ones(3)) == pytest.approx([1000, 1000, 1000], rel=1e-6)
    for transfer in ("PQ", "HLG"):
        table = hdr.sdr_table(transfer)
        assert (table[0, 0, 0] == 0).all()
        greys = table[np.arange(33), np.arange(33), np.arange(33)]
        assert (np.diff(greys, axis=0) >= -1e-9).all()  # never darker where it was brighter
        assert greys[-1] == pytest.approx([1, 1, 1], abs=0.002)
    light = np.linspace(0, 5, 501)
    curve = hdr.compressed(light)
    assert (np.diff(curve) >= 0).all() and curve.max() < 1
    np.testing.assert_array_equal(curve[:76], light[:76])
    assert np.diff(curve[70:80]).min() == pytest.approx(0.01, abs=2e-3)  # no bend at the knee


def test_frames_may_change_their_size(photo):
    mapper = hdr.ToneMapper(av, "PQ")
    for side in (64, 128, 64):
        frame = hdr_frame(cv2.resize(photo, (side, side)), "PQ")
        assert mapper(frame).to_ndarray().shape == (side, side, 3)
