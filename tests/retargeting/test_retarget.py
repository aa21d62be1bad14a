"""Clips with the proportions of another person, against figures made with those lengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from figures import LENGTHS, clip_of, dance, direction, figure, result

from dwpose_infer import keypoints as kp
from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.layouts import BODY_17
from dwpose_infer.retargeting import retarget

ANKLES = [kp.KEYPOINT_INDEX["left_ankle"], kp.KEYPOINT_INDEX["right_ankle"]]
FACTORS = {
    **dict.fromkeys(LENGTHS, 1.5),
    **{"spine": 1.2, "upper arms": 2.0, "thighs": 0.8, "head": 3.0, "hands": 0.5, "feet": 1.1},
}
OTHER = {name: FACTORS[name] * length for name, length in LENGTHS.items()}


def points(done):
    return np.array([frame.result.keypoints[0] for frame in done.clip])


def ankles(persons):
    return persons[:, ANKLES].mean(axis=1)


def test_own_proportions_change_nothing():
    moves = dance()
    done = retarget(clip_of(*(result(each) for each in moves)), result(moves[0]))
    np.testing.assert_allclose(points(done), moves.astype(np.float32), atol=1e-4)
    (person,) = done.proportions
    assert set(person.ratios) == set(LENGTHS) and not person.assumed
    np.testing.assert_allclose(list(person.ratios.values()), 1, rtol=1e-6)


def test_a_person_twice_as_large_somewhere_else():
    moves = dance()
    done = retarget(clip_of(*(result(each) for each in moves)), result(2 * moves[0] + [30, -20]))
    np.testing.assert_allclose(points(done), 2 * moves + [30, -20], atol=1e-3)
    assert done.proportions[0].whole == pytest.approx(2)
    assert done.anchor == "ankles"


def test_every_limb_gets_its_length_and_keeps_its_direction():
    """The reference stands otherwise than the clip: lengths alone come from it, and the place."""
    moves = dance()
    reference = figure((400, 380), OTHER, left_elbow=-80, right_wrist=10, left_knee=60, spine=-70)
    done = retarget(clip_of(*(result(each) for each in moves)), result(reference))
    (person,) = done.proportions
    assert person.ratios == pytest.approx(FACTORS, rel=1e-5)
    long = ("spine", "thighs", "shins", "upper arms", "forearms")
    sides = {"spine": 1}
    sums = [sum(sides.get(n, 2) * each[n] for n in long) for each in (OTHER, LENGTHS)]
    assert person.whole == pytest.approx(sums[0] / sums[1])
    expected = dance(lengths=OTHER)
    begin = ankles(reference[None])[0] - person.whole * ankles(moves)[0]
    expected += (begin + person.whole * ankles(moves) - ankles(expected))[:, None]
    np.testing.assert_allclose(points(done), expected, atol=1e-3)


def test_feet_that_stand_still_stay_where_they_are():
    """A squat: the hips go down, the ankles' middle does not move, whatever the legs' factor is."""
    moves = []
    for bend in (0, 20, 40, 60, 30):
        angles = {"left_knee": 90 - bend, "left_ankle": 90 + bend}
        angles |= {"right_knee": 90 + bend, "right_ankle": 90 - bend}
        moves.append(figure(**angles))
        moves[-1] += [0, 300] - moves[-1][ANKLES[0]] * [0, 1]
    moves = np.array(moves)
    done = points(
        retarget(clip_of(*(result(each) for each in moves)), result(figure((9, 9), OTHER)))
    )
    assert np.ptp(ankles(moves), axis=0) == pytest.approx(0, abs=1e-9)
    assert np.ptp(ankles(done), axis=0) == pytest.approx(0, abs=1e-3)
    assert np.ptp(done[:, kp.KEYPOINT_INDEX["left_hip"], 1]) > 20


def test_the_clips_lengths_are_medians():
    """A forearm that points at the camera in two of nine frames, in these keeps its shortness."""
    moves = dance()
    elbow, wrist = kp.KEYPOINT_INDEX["left_elbow"], kp.KEYPOINT_INDEX["left_wrist"]
    moves[:2, wrist] = moves[:2, elbow] + 10 * direction(30)
    done = retarget(clip_of(*(result(each) for each in moves)), result(figure(lengths=OTHER)))
    assert done.proportions[0].ratios["forearms"] == pytest.approx(1.5)
    lengths = np.linalg.norm(points(done)[:, wrist] - points(done)[:, elbow], axis=1)
    np.testing.assert_allclose(lengths, [15, 15, *[45] * 7], rtol=1e-4)


def test_what_is_not_seen_of_both_is_scaled_like_the_whole():
    """Of the reference no legs and no hands: the neck is aligned, and the arms say the size."""
    moves = dance()
    unseen = np.ones(kp.NUM_KEYPOINTS, np.float32)
    unseen[11:23] = unseen[kp.LEFT_HAND.start :] = 0.1
    reference = result(figure((300, 300), OTHER), scores=unseen)
    done = retarget(clip_of(*(result(each) for each in moves)), reference)
    (person,) = done.proportions
    assert person.assumed == ("spine", "hips", "thighs", "shins", "hands", "feet")
    assert person.whole == pytest.approx((2.0 * 35 + 1.5 * 30) / (35 + 30))
    assert {person.ratios[name] for name in person.assumed} == {person.whole}
    assert done.anchor == "neck"
    shoulders = points(done)[:, 5:7].mean(axis=1)
    np.testing.assert_allclose(shoulders[0], reference.keypoints[0, 5:7].mean(axis=0), atol=1e-3)


def test_points_that_are_not_sure_hold_nothing():
    """In one frame the hips are anywhere: arms and head stay where they are."""
    moves = dance()
    clean = [result(each) for each in moves]
    expected = points(retarget(clip_of(*clean), result(figure(lengths=OTHER)), align="neck"))
    spoilt = []
    for t, each in enumerate(clean):
        keypoints, scores = each.keypoints.copy(), each.scores.copy()
        if t == 4:
            keypoints[0, 11:13], scores[0, 11:13] = (5000, -5000), 0.1
        spoilt.append(replace(each, keypoints=keypoints, scores=scores))
    found = retarget(clip_of(*spoilt), result(figure(lengths=OTHER)), align="neck")
    upper = [*range(11), *range(kp.FACE.start, kp.NUM_KEYPOINTS)]
    np.testing.assert_allclose(points(found)[:, upper], expected[:, upper], atol=1e-3)
    np.testing.assert_array_equal(found.clip[4].result.scores, spoilt[4].scores)


def test_points_that_are_absent_stay_absent():
    moves = [result(each) for each in dance()]
    legless = [each.masked(parts=["body", "face"]) for each in moves]
    done = retarget(clip_of(*legless), result(figure(lengths=OTHER)))
    for before, after in zip(legless, done.clip, strict=True):
        np.testing.assert_array_equal(np.isnan(before.keypoints), np.isnan(after.result.keypoints))
        np.testing.assert_array_equal(before.scores, after.result.scores)
    whole = retarget(clip_of(*moves), result(figure(lengths=OTHER)))
    np.testing.assert_allclose(points(done)[:, :17], points(whole)[:, :17], atol=1e-3)


def test_several_persons_keep_ids_boxes_and_their_way():
    """Person 3 is there in every frame, person 8 in two, 300 pixels to the right and as large."""
    moves = dance()
    box = [0, 0, 400, 400]
    frames = []
    for t, each in enumerate(moves):
        both = t in (1, 2)
        persons = [each + np.array([300, 0]), each] if both else [each]
        ids = np.array([8, 3] if both else [3])
        fields = {"boxes_xyxy": np.float32([box] * len(ids)), "box_scores": np.ones(len(ids), "f4")}
        frames.append(
            result(*persons, ids=ids, image_size=(900, 600), source="dance.mp4", **fields)
        )
    reference = result(2 * moves[0], image_size=(640, 480), source="me.jpg")
    done = retarget(clip_of(*frames, None), reference)
    assert [each.person for each in done.proportions] == [3, 8]
    assert done.clip.ids.tolist() == [3, 8]
    assert done.clip[9].result is None
    np.testing.assert_array_equal(done.clip.times_s, np.arange(10) / 25)
    second = done.clip[1].result
    assert second.ids.tolist() == [8, 3]
    np.testing.assert_allclose(second.keypoints[1], 2 * moves[1], atol=1e-3)
    np.testing.assert_allclose(second.keypoints[0], 2 * moves[1] + [600, 0], atol=1e-3)
    np.testing.assert_allclose(second.boxes_xyxy[1], [0, 0, 800, 800], atol=1e-3)
    assert (second.image_size, second.source) == ((640, 480), "dance.mp4")
    assert second.notes == ("retargeted to the proportions of me.jpg",)
    alone = retarget(clip_of(*frames), reference, person=8)
    assert [len(frame.result) for frame in alone.clip] == [0, 1, 1, *[0] * 6]
    np.testing.assert_allclose(  # begins where the reference stands
        alone.clip[1].result.keypoints[0, ANKLES].mean(axis=0), ankles(2 * moves)[0], atol=1e-3
    )


def test_a_reference_of_other_points():
    moves = dance()
    reference = result(2 * moves[0]).in_layout(BODY_17)
    done = retarget(clip_of(*(result(each) for each in moves)), reference)
    assert done.proportions[0].assumed == ("hands", "feet")
    np.testing.assert_allclose(points(done), 2 * moves, atol=1e-3)
    body = retarget(clip_of(*(result(each).in_layout(BODY_17) for each in moves)), result(moves[0]))
    np.testing.assert_allclose(points(body), moves[:, :17], atol=1e-4)


@pytest.mark.parametrize("align", ["ankles", "hips", "neck", "nose"])
def test_what_is_aligned_goes_its_way_times_the_size(align):
    moves = dance()
    reference = result(figure((400, 380), OTHER, spine=-80))
    done = retarget(clip_of(*(result(each) for each in moves)), reference, align=align)
    spots = {"ankles": ANKLES, "hips": [11, 12], "neck": [5, 6], "nose": [0]}[align]
    old, new = (each[:, spots].mean(axis=1) for each in (moves, points(done)))
    there = reference.keypoints[0, spots].mean(axis=0)
    np.testing.assert_allclose(new, there + done.proportions[0].whole * (old - old[0]), atol=1e-3)


def test_what_is_refused():
    moves = [result(each) for each in dance(3)]
    clip = clip_of(*moves)
    nobody = result(figure()).select([])
    with pytest.raises(InvalidArgumentError, match="the reference has 0 persons"):
        retarget(clip, nobody)
    with pytest.raises(InvalidArgumentError, match="no person 4 in the clip: people have no ids"):
        retarget(clip, moves[0], person=4)
    with pytest.raises(InvalidArgumentError, match="align is 'feet', expected auto, ankles, hips"):
        retarget(clip, moves[0], align="feet")
    with pytest.raises(InputError, match="there is nobody in the clip"):
        retarget(clip_of(nobody, None), moves[0])
    with pytest.raises(InvalidArgumentError, match="people of this clip have no ids"):
        retarget(clip_of(result(figure(), figure())), moves[0])
    with pytest.raises(InvalidArgumentError, match=r"its ids are \[7\]"):
        retarget(clip_of(replace(moves[0], ids=np.array([7]))), moves[0], person=4)
    face = moves[0].masked(parts=["face"])
    with pytest.raises(InputError, match="ankles, hips, neck and nose of the clip's person or of"):
        retarget(clip, face)
    legs = np.zeros(kp.NUM_KEYPOINTS, np.float32)
    legs[15:17] = 0.9
    with pytest.raises(InputError, match="no limb is seen of the clip's person and of the ref"):
        retarget(clip, result(figure(), scores=legs))
    with pytest.raises(InputError, match="nose of the clip's person or of the reference are not"):
        retarget(clip, result(figure(), scores=legs), align="nose")
