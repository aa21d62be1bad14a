"""Animated pictures and pages as clips."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.media import open_source

COLOURS_RGB = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (220, 220, 40), (20, 20, 20)]
DURATIONS_MS = [40, 40, 200, 80, 40]


def animation(path, *, mode="RGB", **options):
    frames = [Image.new("RGB", (48, 32), colour).convert(mode) for colour in COLOURS_RGB]
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.webp", {"lossless": True, "duration": DURATIONS_MS}),
        ("a.png", {"duration": DURATIONS_MS}),
    ],
)
def test_all_frames_at_their_times(tmp_path, name, options):
    with open_source(animation(tmp_path / name, **options)) as source:
        assert (source.size_wh, source.frame_count, source.is_live) == ((48, 32), 5, False)
        frames = list(source)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.28, 0.36])
    assert [frame.duration_s for frame in frames] == pytest.approx([0.04, 0.04, 0.2, 0.08, 0.04])
    for frame, (red, green, blue) in zip(frames, COLOURS_RGB, strict=True):
        assert frame.image_bgr.shape == (32, 48, 3)
        assert (frame.image_bgr == (blue, green, red)).all()


def test_pages_have_the_rate_that_is_given(tmp_path):
    path = animation(tmp_path / "pages.tiff")
    with open_source(path, frame_rate=2) as source:
        assert (source.frame_rate, source.frame_count) == (2, 5)
        frames = list(source)
    assert [frame.time_s for frame in frames] == [0, 0.5, 1, 1.5, 2]
    assert (frames[3].image_bgr == (40, 220, 220)).all()
    with open_source(path) as source:
        assert next(iter(source)).duration_s == pytest.approx(1 / 25)


def test_a_part_of_an_animation(tmp_path):
    path = animation(tmp_path / "a.webp", lossless=True, duration=DURATIONS_MS)
    with open_source(path, start=0.08, end=0.36) as source:
        assert [frame.index for frame in source] == [2, 3]
    with open_source(path, start="1f", stride=2) as source:
        assert [frame.index for frame in source] == [1, 3]
    with open_source(path, stride=2) as source:
        assert source.frame_count == 3
        assert len(list(source)) == 3
    with pytest.raises(InputError, match="there are 5"):
        open_source(path, start=9)


def test_transparent_parts_show_white(tmp_path):
    frames = []
    for colour in COLOURS_RGB[:2]:
        frames.append(Image.new("RGBA", (48, 32), (*colour, 0)))
        frames[-1].paste((*colour, 255), (0, 0, 24, 32))
    path = tmp_path / "a.webp"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, lossless=True)
    with open_source(path) as source:
        for frame, (red, green, blue) in zip(source, COLOURS_RGB[:2], strict=True):
            assert (frame.image_bgr[:, 24:] == 255).all()
            assert (frame.image_bgr[:, :24] == (blue, green, red)).all()


def test_the_picture_for_readers_without_animation_is_no_frame(tmp_path):
    path = animation(tmp_path / "a.png", duration=40, default_image=True)
    with open_source(path) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    red, green, blue = COLOURS_RGB[1]
    assert (frames[0].image_bgr == (blue, green, red)).all()


def test_an_animation_knows_its_times(tmp_path):
    path = animation(tmp_path / "a.webp", lossless=True, duration=DURATIONS_MS)
    with pytest.raises(InvalidArgumentError, match="its own frame rate"):
        open_source(path, frame_rate=10)


def test_one_picture_is_a_clip_of_one_frame(tmp_path):
    Image.new("RGB", (48, 32), (9, 8, 7)).save(tmp_path / "one.webp", lossless=True)
    with open_source(tmp_path / "one.webp") as source:
        (frame,) = source
    assert (frame.image_bgr == (7, 8, 9)).all()


def test_what_is_damaged_later_costs_what_follows(tmp_path):
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)) for _ in range(4)]
    path = tmp_path / "a.png"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with open_source(path) as source:
        items = list(source)
    assert [item.index for item in items] == [0, 1, 2]
    assert "frame 2 is damaged" in str(items[-1].error)
    assert items[-1].is_last


def test_no_picture(tmp_path):
    (tmp_path / "a.webp").write_bytes(b"RIFF nothing")
    with pytest.raises(InputError, match=r"a\.webp"):
        open_source(tmp_path / "a.webp")
