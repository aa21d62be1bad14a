from __future__ import annotations

import io
import warnings

import cv2
import numpy as np
import pytest
from PIL import Image

from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.images import read_image, read_picture


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (20, 30, 3), np.uint8)


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def rgb_png(image_bgr) -> bytes:
    return encoded(Image.fromarray(image_bgr[..., ::-1]))


class Lent:
    """An array that speaks DLPack and nothing else."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._array.__dlpack_device__()


class LentByGpu(Lent):
    def __dlpack_device__(self):
        return (2, 0)  # kDLCUDA

    def __dlpack__(self, **options):
        raise BufferError("it lies on a GPU")


def test_open_files_are_read_and_left_open(image, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(rgb_png(image))
    with path.open("rb") as file:
        np.testing.assert_array_equal(read_image(file), image)
        with pytest.raises(InputError, match=r"seek\(0\)"):
            read_image(file)
    stream = io.BytesIO(rgb_png(image))
    np.testing.assert_array_equal(read_image(stream), image)
    assert not stream.closed
    with pytest.raises(InputError, match="cannot be read"):
        read_image(file)
    for text in (io.StringIO("no picture"), path.open(encoding="utf-8")):
        with text, pytest.raises(InvalidArgumentError, match='mode "rb"'):
            read_image(text)


def test_arrays_of_other_libraries_may_have_their_colours_first(image, caplog):
    np.testing.assert_array_equal(read_image(Lent(image)), image)
    assert caplog.text == ""
    planes = np.ascontiguousarray(image.transpose(2, 0, 1))
    read = read_picture(Lent(planes))
    np.testing.assert_array_equal(read.image_bgr, image)
    (note,) = read.notes
    assert note == (
        "the test_images.Lent of shape (3, 20, 30) is taken for colours first (C, H, W), BGR"
    )
    np.testing.assert_array_equal(read_image(Lent(planes), color="rgb"), image[..., ::-1])
    assert "is taken for colours first (C, H, W), RGB" in caplog.text
    grey = read_image(Lent(planes[:1]))
    np.testing.assert_array_equal(grey[..., 0], planes[0])
    with pytest.raises(InputError, match=r"tensor\.cpu\(\)"):
        read_image(LentByGpu(image))
    with pytest.raises(InputError, match="is not a picture"):
        read_image(Lent(np.zeros((5, 20, 30), np.uint8)))


def test_pytorch_tensors(image):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(image)
    np.testing.assert_array_equal(read_image(tensor), image)
    np.testing.assert_array_equal(read_image(tensor.permute(2, 0, 1)), image)
    unit = (tensor / 255).requires_grad_()
    np.testing.assert_array_equal(read_image(unit), image)


def test_every_source_gives_the_same_pixels(image, tmp_path):
    data = rgb_png(image)
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    sources = [path, str(path), data, bytearray(data), memoryview(data), image]
    sources += [Image.open(path), np.asfortranarray(image)]
    for source in sources:
        pixels = read_image(source)
        np.testing.assert_array_equal(pixels, image)
        assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(read_image(image[..., ::-1], color="rgb"), image)


def test_usable_arrays_are_not_copied(image):
    assert read_image(image) is image


def test_files_are_decoded_as_opencv_does(astronaut):
    np.testing.assert_array_equal(read_image(astronaut), cv2.imread(str(astronaut)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_modes(mode):
    picture = Image.new("RGB", (16, 16), (200, 100, 50)).convert(mode)
    pixels = read_image(encoded(picture, "TIFF" if mode == "CMYK" else "PNG"))
    expected = np.asarray(picture.convert("RGB"))[..., ::-1]
    np.testing.assert_array_equal(pixels, expected)


def test_16_bit_files():
    grey = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64)
    data = cv2.imencode(".png", grey)[1].tobytes()
    np.testing.assert_array_equal(read_image(data)[..., 0], grey >> 8)
    color = np.stack([grey, grey[::-1], grey.T], axis=2)
    data = cv2.imencode(".png", color)[1].tobytes()
    assert np.abs(read_image(data).astype(int) - (color >> 8)).max() <= 1


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (np.full((16, 16), 77, np.uint8), 77),
        (np.full((16, 16, 1), 77, np.uint8), 77),
        (np.full((16, 16, 3), 0x4D12, np.uint16), 0x4D),
        (np.full((16, 16, 3), 77, np.int64), 77),
        (np.full((16, 16, 3), 77, np.int8), 77),
        (np.full((16, 16, 3), 77, np.uint32), 77),
        (np.full((16, 16, 3), 0.5, np.float32), 128),
        (np.full((16, 16, 3), 0.5, np.float16), 128),
        (np.full((16, 16, 3), 76.6, np.float64), 77),
        (np.ones((16, 16), np.bool_), 255),
        (np.ones((16, 16, 3), np.float32), 255),
    ],
)
def test_array_types(array, value):
    pixels = read_image(array)
    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == value).all()


@pytest.mark.parametrize(("color", "first"), [("bgr", 1), ("rgb", 3)])
def test_opaque_alpha_is_dropped_in_either_order(color, first):
    array = np.tile(np.array([1, 2, 3, 255], np.uint8), (16, 16, 1))
    assert read_image(array, color=color)[0, 0].tolist() == [first, 2, 4 - first]


def nan_array():
    array = np.zeros((16, 16, 3), np.float32)
    array[3, 4, 1] = np.nan
    return array


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (nan_array(), "finite"),
        (np.full((16, 16, 3), np.inf), "finite"),
        (np.full((16, 16, 3), -1), "values from -1"),
        (np.full((16, 16, 3), 300.0), "not from 0 to 255"),
        (np.zeros((16, 16, 2), np.uint8), "not a picture"),
        (np.zeros((3, 16, 16), np.uint8), "not a picture"),
        (np.zeros((2, 16, 16, 3), np.uint8), "not a picture"),
        (np.zeros((0, 0, 3), np.uint8), "0x0 pixels"),
        (np.zeros((1, 1, 3), np.uint8), "1x1 pixels"),
        (np.zeros((16, 16, 3), np.complex64), "complex64"),
        (np.full((16, 16, 3), "a"), "no picture has"),
    ],
)
def test_arrays_that_are_no_pictures(array, complaint):
    with pytest.raises(InputError, match=complaint):
        read_image(array)


def test_files_that_are_no_pictures(tmp_path, image):
    folder = tmp_path / "folder.jpg"
    folder.mkdir()
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    tiny = tmp_path / "tiny.png"
    Image.new("RGB", (1, 1)).save(tiny)
    for path, complaint in [
        (tmp_path / "missing.jpg", "no such file"),
        (folder, "is a folder"),
        (text, "not a picture"),
        (empty, "is empty"),
        (tiny, "1x1 pixels"),
        ("nul\0.jpg", "cannot be read"),
    ]:
        with pytest.raises(InputError, match=complaint) as caught:
            read_image(path)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_cut_off_files(rng, kind, share):
    data = encoded(Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8)), kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of cut-off TIFF files before it fails
        with pytest.raises(InputError):
            read_image(data[: int(len(data) * share)])


def test_too_many_pixels_are_refused_before_decoding(image):
    with pytest.raises(InputError, match="30x20 pixels are more than the limit of 599"):
        read_image(rgb_png(image), max_pixels=599)
    with pytest.raises(InputError, match="max_pixels"):
        read_image(image, max_pixels=599)
    assert read_image(image, max_pixels=600) is image


def test_wrong_arguments(image):
    with pytest.raises(InvalidArgumentError, match="'bgr' or 'rgb'"):
        read_image(image, color="gbr")
    with pytest.raises(InvalidArgumentError, match="from int"):
        read_image(7)
    for value in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InvalidArgumentError, match="max_value"):
            read_image(image, max_value=value)


def test_what_was_assumed_is_said(caplog):
    ten_bits = np.full((16, 16), 800, np.uint16)
    read = read_picture(ten_bits)
    assert read.notes == ("uint16 values taken to span 0..1023",)
    assert (read.image_bgr == 800 >> 2).all()
    read_image(ten_bits)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not read_picture(ten_bits, max_value=1023).notes


def test_a_pil_picture_of_wide_grey():
    dark = Image.fromarray(np.full((16, 16), 100, np.int32))  # mode I, as cv2 users make it
    assert dark.mode == "I"
    assert (read_image(dark) == 100).all()
    assert (read_image(dark, max_value=65535) == 0).all()
