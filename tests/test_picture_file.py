from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from dwpose_infer import picture_file
from dwpose_infer.errors import InputError
from dwpose_infer.images import MAX_PIXELS, read_image, read_picture
from dwpose_infer.picture_file import COMMON_FORMATS, OTHER_FORMATS, decode_file


@pytest.fixture
def smooth(rng):
    """(32, 48, 3) uint8, RGB."""
    return cv2.resize(rng.integers(0, 256, (3, 4, 3), np.uint8), (48, 32))


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def turned(smooth, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(Image.fromarray(smooth), "JPEG", exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(smooth, orientation):
    data = turned(smooth, orientation)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(read_image(data), expected)
    with Image.open(io.BytesIO(data)) as picture:  # the same by either way
        np.testing.assert_array_equal(read_image(picture), expected)
        assert picture.size == (48, 32)  # the caller's own picture stays as it is


def test_damaged_exif_data_do_not_cost_the_picture(smooth, monkeypatch):
    def broken(self):
        raise SyntaxError("not a TIFF file")

    data = turned(smooth, 6)
    monkeypatch.setattr(Image.Image, "getexif", broken)
    read = read_picture(data)
    assert read.image_bgr.shape == (32, 48, 3)
    assert read.notes == ("not turned upright: its EXIF data are damaged",)


def test_transparent_parts_show_white():
    cut_out = Image.new("RGBA", (16, 16), (10, 200, 30, 0))
    cut_out.paste((10, 20, 30, 255), (4, 4, 12, 12))
    read = read_picture(encoded(cut_out))
    assert read.image_bgr[0, 0].tolist() == [255, 255, 255]
    assert read.image_bgr[8, 8].tolist() == [30, 20, 10]
    assert read.notes == ("transparent parts shown white",)
    palette = encoded(cut_out.convert("P"), "PNG", transparency=0)
    assert "transparent parts shown white" in read_picture(palette).notes
    assert not read_picture(encoded(cut_out.convert("RGB"))).notes


@pytest.mark.parametrize(
    ("kind", "options", "noun"),
    [
        ("GIF", {}, "frames"),
        ("WEBP", {"lossless": True}, "frames"),
        ("PNG", {}, "frames"),
        ("TIFF", {}, "pages"),
    ],
)
def test_the_first_of_several_frames_counts_and_is_said(kind, options, noun):
    frames = [Image.new("RGB", (16, 16), (shade, 0, 0)) for shade in (200, 100, 50)]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    read = read_picture(data)
    assert read.notes == (f"first of 3 {noun} used",)
    assert abs(int(read.image_bgr[0, 0, 2]) - 200) <= 1


def test_dark_16_bit_files_stay_dark():
    data = cv2.imencode(".png", np.full((16, 16), 900, np.uint16))[1].tobytes()
    read = read_picture(data)
    assert (read.image_bgr == 900 >> 8).all()
    assert not read.notes


@pytest.mark.parametrize("kind", [RuntimeError, AssertionError, KeyError, ZeroDivisionError])
def test_whatever_a_decoder_raises_is_that_pictures_error(smooth, monkeypatch, kind):
    """Pillow's AVIF plug-in raises RuntimeError on damaged files, others what they like."""
    from PIL import PngImagePlugin

    def broken(*arguments):
        raise kind("as it came")

    data = encoded(Image.fromarray(smooth))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", broken)
    with pytest.raises(InputError, match="damaged or cut off") as caught:
        read_image(data)
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize(
    "kind", ["AVIF", "DDS", "BLP", "TGA", "PSD", "QOI", "ICO", "PCX", "SGI", "JPEG2000"]
)
def test_damage_in_seldom_formats_is_an_error_of_the_picture(rng, kind):
    Image.init()
    if kind not in Image.OPEN:
        pytest.skip(f"this Pillow does not read {kind}")
    picture = Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8))
    if kind not in Image.SAVE:
        data = {"PSD": b"8BPS\0\1", "QOI": b"qoif"}[kind] + bytes(range(200))
    else:
        data = encoded(
            picture.convert("P" if kind == "BLP" else "F" if kind == "SPIDER" else "RGB"), kind
        )
    for end in (16, len(data) // 2, len(data) - 1):
        try:
            decode_file(data[:end], name="it", max_pixels=MAX_PIXELS)
        except InputError as error:
            assert str(error).startswith("it")


def test_the_limit_of_pixels_is_the_one_given(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Image.open refuses twice as many
    data = encoded(Image.new("RGB", (48, 32)))
    with pytest.raises(InputError, match="raise max_pixels"):
        read_image(data, max_pixels=48 * 32 - 1)
    assert read_image(data, max_pixels=48 * 32).shape == (32, 48, 3)


def test_formats_that_start_other_programs_are_not_opened():
    names = {*COMMON_FORMATS, *OTHER_FORMATS}
    assert not names & {"EPS", "WMF", "PDF", "IM", "MPEG", "HDF5", "GRIB", "BUFR"}
    header = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n"
    with pytest.raises(InputError, match="not a picture in a format"):
        read_image(header)


def test_heic(astronaut):
    pillow_heif = pytest.importorskip("pillow_heif")
    photo = Image.open(astronaut)
    stream = io.BytesIO()
    pillow_heif.from_pillow(photo).save(stream, quality=95)
    difference = read_image(stream.getvalue()).astype(int) - read_image(astronaut)
    assert np.abs(difference).mean() < 2  # of 255: what its compression changes


def test_heic_without_its_package(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    header = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    with pytest.raises(InputError, match=r"dwpose-infer\[heif\]"):
        read_image(header)


@pytest.mark.parametrize("kind", ["plain", "alpha", "palette", "grey", "deep", "turned", "JPEG"])
def test_large_pictures_are_the_same_pixels(tmp_path, monkeypatch, astronaut, kind):
    photo, path = Image.open(astronaut).resize((64, 48)), tmp_path / "a.png"
    options = {}
    if kind == "alpha":
        photo.putalpha(128)
    elif kind == "palette":
        photo = photo.convert("P")
    elif kind == "grey":
        photo = photo.convert("L")
    elif kind == "deep":
        photo = Image.fromarray(np.asarray(photo.convert("L"), np.uint16) * 257)
    elif kind == "turned":
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6
    elif kind == "JPEG":
        path = tmp_path / "a.jpg"
    photo.save(path, **options)
    data = path.read_bytes()
    expected = decode_file(data, name="a", max_pixels=10**6)
    decoded = []
    imdecode = picture_file.cv2.imdecode
    monkeypatch.setattr(picture_file, "LARGE_PIXELS", 1000)
    monkeypatch.setattr(
        picture_file.cv2, "imdecode", lambda *given: decoded.append(1) or imdecode(*given)
    )
    image_bgr, notes = decode_file(data, name="a", max_pixels=10**6)
    np.testing.assert_array_equal(image_bgr, expected[0])
    assert notes == expected[1]
    assert len(decoded) == (kind == "plain")


def test_a_large_png_that_is_damaged(monkeypatch, astronaut, tmp_path):
    monkeypatch.setattr(picture_file, "LARGE_PIXELS", 1000)
    Image.open(astronaut).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    for damaged in (data[:-5000], bytes(flipped)):
        with pytest.raises(InputError, match="a is damaged or cut off"):
            decode_file(damaged, name="a", max_pixels=10**6)
    with pytest.raises(InputError, match="more than the limit"):
        decode_file(data, name="a", max_pixels=10**5)
