"""One person's face as a video: where the square is, what is cut out, and what is refused."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from video_samples import BACKGROUND_BGR, SQUARE_BGR, make_clip

from dwpose_infer import keypoints as kp
from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.media import LoggedFrame, open_source, save_face_clip
from dwpose_infer.media.face_clip import FaceTracks, crop_square
from dwpose_infer.results import PoseResult

pytest.importorskip("av")


def frame(index, *faces, ids=None, time_s=None, size_wh=(160, 120), score=0.9):
    """A frame of persons of whom only the face is there, between two corners; None has no face."""
    keypoints = np.full((len(faces), kp.NUM_KEYPOINTS, 2), np.nan, np.float32)
    scores = np.zeros(keypoints.shape[:2], np.float32)
    for person, corners in enumerate(faces):
        if corners is not None:
            left, top, right, bottom = corners
            keypoints[person, kp.FACE, 0] = np.linspace(left, right, 68)
            keypoints[person, kp.FACE, 1] = np.linspace(top, bottom, 68)
            scores[person, kp.FACE] = score
    known = None if ids is None else np.array(ids, np.int64)
    result = PoseResult(keypoints, scores, ids=known, image_size=size_wh)
    return LoggedFrame(index, time_s, result)


def tracks(*frames):
    gathered = FaceTracks()
    for each in frames:
        gathered.add(each.index, each.time_s, each.result)
    return gathered


def moved(index):
    """A face of 60 x 80 pixels that moves 3 pixels a frame."""
    return 100 + 3 * index, 100, 160 + 3 * index, 180


def test_the_square_has_the_face_and_three_quarters_of_the_room_above():
    """1.3 times 80 pixels is 104: of the 24 more 18 are above the points, 6 below."""
    squares = tracks(frame(0, moved(0))).squares(None)
    np.testing.assert_allclose(squares.centers_xy, [[130, 180 + 6 - 52]])
    np.testing.assert_allclose(squares.sides, [104])
    wide = tracks(frame(0, moved(0))).squares(None, pixel_aspect_ratio=2.0, scale=1.0)
    np.testing.assert_allclose(wide.sides, [120])  # 60 pixels, each two wide


def test_a_face_that_moves_evenly_stays_in_the_middle_also_where_it_is_not_found():
    frames = [frame(index, moved(index)) for index in (*range(20), *range(30, 60))]
    frames[20:20] = [frame(index, None) for index in range(20, 30)]
    squares = tracks(*frames).squares(None, frame_rate=25)
    np.testing.assert_allclose(squares.centers_xy[:, 0], 130 + 3 * np.arange(60), atol=1e-6)
    np.testing.assert_allclose(squares.sides, 104, atol=1e-6)
    assert np.flatnonzero(~squares.found).tolist() == list(range(20, 30))


def test_before_the_first_sight_the_square_waits():
    frames = [frame(index, None if index < 50 else moved(0)) for index in range(60)]
    frames.append(frame(60, moved(0), score=0.2))  # no face
    squares = tracks(*frames).squares(None)
    np.testing.assert_allclose(squares.centers_xy[:, 0], 130)
    assert squares.found.sum() == 10


def test_jitter_is_smoothed_by_time_not_by_frames():
    """Of white noise a Gaussian of d frames leaves sqrt(1 / (2 d sqrt(pi))): .23 for 5 frames."""
    noise = np.random.default_rng(0).normal(0, 2, 400)
    faces = [(100 + each, 100, 160 + each, 180) for each in noise]
    fast = tracks(*(frame(i, face, time_s=i / 50) for i, face in enumerate(faces)))
    left = fast.squares(None).centers_xy[50:-50, 0].std() / noise.std()
    assert left == pytest.approx(np.sqrt(1 / (2 * 5 * np.sqrt(np.pi))), rel=0.25)
    slow = tracks(*(frame(i, face, time_s=i / 5) for i, face in enumerate(faces)))
    assert slow.squares(None).centers_xy[50:-50, 0].std() > 3 * left


def test_whose_face():
    there = [frame(0, moved(0), moved(9), ids=[7, 2]), frame(1, moved(1), None, ids=[7, 2])]
    there.append(frame(2))
    gathered = tracks(*there)
    assert gathered.persons == [7, 2]
    assert [gathered.chosen(person) for person in (None, 2)] == [7, 2]
    with pytest.raises(InvalidArgumentError, match=r"no face of a person 3 .* most first: 7, 2"):
        gathered.chosen(3)
    with pytest.raises(InvalidArgumentError, match="people of this clip have no ids, so nobody's"):
        tracks(frame(0, moved(0), moved(9))).chosen(None)
    with pytest.raises(InvalidArgumentError, match="have no ids, so nobody is 1"):
        tracks(frame(0, moved(0))).chosen(1)
    with pytest.raises(InputError, match="no face was found in any frame"):
        tracks(frame(0, None)).chosen(None)
    with pytest.raises(InvalidArgumentError, match="no part 'face' among these 17 points"):
        FaceTracks().add(0, None, PoseResult.empty(points=17))


def test_crops():
    image = np.random.default_rng(1).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    middle = np.array([19.5, 14.5])  # between pixels 19 and 20
    same = crop_square(image, middle, (20, 20), size=20)
    np.testing.assert_array_equal(same, image[5:25, 10:30])
    half = crop_square(image, middle, (20, 20), size=10)
    means = image[5:25, 10:30].reshape(10, 2, 10, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - means).max() <= 0.5
    rows = np.repeat(image[:, :1], 50, axis=1)
    squeezed = crop_square(rows, middle, (10, 20), size=10)
    means = rows[5:25, 15:25].reshape(10, 2, 10, 3).mean(axis=1)
    assert np.abs(squeezed - means).max() <= 1
    corner = crop_square(image, np.array([-0.5, -0.5]), (20, 20), size=20)
    assert not corner[:10].any() and not corner[:, :10].any()
    np.testing.assert_array_equal(corner[10:, 10:], image[:10, :10])
    assert not crop_square(image, np.array([500.0, 500.0]), (20, 20), size=20).any()
    flat = np.full((40, 50, 3), 77, np.uint8)
    assert (crop_square(flat, middle, (4.3, 4.3), size=64) == 77).all()


@pytest.fixture
def clip(tmp_path):
    """The red square of 24 pixels on blue, two pixels a frame, 30000/1001 a second, 12 frames."""
    return make_clip(tmp_path / "clip.mp4", pts=[index * 3003 for index in range(12)])


def square_at(index):
    return 2 * index + 0.5, 8.5, 2 * index + 22.5, 30.5  # pixel middles


def test_a_video_of_the_face(tmp_path, clip):
    """At scale 1.0 the crop is the square alone; of frames 2, 4, 6 and 8 one has no face."""
    frames = [frame(i, None if i == 6 else square_at(i)) for i in (2, 4, 6, 8)]
    ticks = []
    report = save_face_clip(
        frames, clip, tmp_path / "face.mp4", size=64, scale=1.0, progress=lambda: ticks.append(1)
    )
    assert (report.frames, report.frames_without_face) == (4, 1)
    assert (report.person, report.persons, len(ticks)) == (None, 1, 4)
    with open_source(report.path) as source:
        assert source.size_wh == (64, 64)
        assert source.frame_rate == Fraction(30000, 1001) / 2
        shown = list(source)
    step_s = 2 * 1001 / 30000
    assert [each.time_s for each in shown] == pytest.approx([i * step_s for i in range(4)])
    for each in shown:  # the square fills the crop but for a pixel of its edge, in the gap too
        inner = each.image_bgr[6:-6, 6:-6].astype(int)
        assert np.abs(inner - SQUARE_BGR).mean() < 12
    black = save_face_clip(frames, clip, tmp_path / "b.mp4", size=64, scale=1.0, missing="black")
    with open_source(black.path) as source:
        means = [each.image_bgr[6:-6, 6:-6, 2].mean() for each in source]
    assert means[2] < 10 and min(means[0], means[1], means[3]) > 200


def test_a_square_of_pixels_that_are_not_square(tmp_path):
    """Pixels twice as wide as high: a square of 24 x 24 pixels is shown 48 x 24, and so here."""
    clip = make_clip(tmp_path / "wide.mp4", pts=[0, 3003], pixel_aspect_ratio=Fraction(2))
    report = save_face_clip(
        [frame(0, (40, 8, 64, 32)), frame(1, (40, 8, 64, 32))], clip, tmp_path / "f.mp4", size=96
    )
    with open_source(report.path) as source:
        assert source.pixel_aspect_ratio == 1
        image = next(iter(source)).image_bgr
    assert np.abs(image[40].astype(int) - BACKGROUND_BGR).mean() < 12


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"size": 1}, InvalidArgumentError, "size is 1, expected 2 to 4096"),
        ({"size": 512.0}, InvalidArgumentError, "size is 512.0"),
        ({"scale": 0.5}, InvalidArgumentError, "scale is 0.5"),
        ({"missing": "blur"}, InvalidArgumentError, "missing is 'blur'"),
        ({"person": 4}, InvalidArgumentError, "have no ids, so nobody is 4"),
    ],
)
def test_what_is_refused(tmp_path, clip, options, error, message):
    with pytest.raises(error, match=message):
        save_face_clip([frame(0, square_at(0))], clip, tmp_path / "face.mp4", **options)
    assert not list(tmp_path.glob("face*"))


def test_another_video_is_noticed(tmp_path, clip):
    with pytest.raises(InputError, match=r"160x120, the poses were found in frames of 640x480"):
        save_face_clip([frame(0, square_at(0), size_wh=(640, 480))], clip, tmp_path / "face.mp4")
    with pytest.raises(InputError, match="has no frame 12, of which there are poses"):
        save_face_clip([frame(i, square_at(i)) for i in (0, 12)], clip, tmp_path / "face.mp4")
    assert not (tmp_path / "face.mp4").exists()
