"""pose-format: a folder of OpenPose files, with BODY_25."""

from pose_format.utils.openpose import load_openpose_directory

from expected import FOLDER, Comparison, require

FINGERS = {
    "T": "thumb",
    "I": "forefinger",
    "M": "middle_finger",
    "R": "ring_finger",
    "P": "pinky_finger",
}


def hand_name(side: str, point: str, places: dict[str, int]) -> str:
    """Our name of one of its points of a hand; its joints of a finger stand from base to tip."""
    if point == "BASE":
        return f"{side}_hand_root"
    letter = point.split("_", maxsplit=1)[0]
    places[letter] = places.get(letter, 0) + 1
    return f"{side}_{FINGERS[letter]}{places[letter]}"


pose = load_openpose_directory(
    str(FOLDER / "pose-format/clip_keypoints"), fps=25, width=640, height=480
)
require(pose.body.data.shape[:2] == (3, 2), f"frames and people: {pose.body.data.shape}")
body, whole = Comparison("body25"), Comparison("wholebody")
place = 0
for component in pose.header.components:
    fingers: dict[str, int] = {}
    for point in component.points:
        if component.name == "pose_keypoints_2d":
            comparison, name = body, point
        elif component.name == "face_keypoints_2d":
            comparison, name = whole, f"face-{point.split('_')[1]}"
        else:
            side = component.name.split("_")[1]
            comparison, name = whole, hand_name(side, point, fingers)
        for frame in range(3):
            for person in range(2):
                found = pose.body.data[frame, person, place].filled(0)
                score = pose.body.confidence[frame, person, place]
                if point.startswith("FP_"):
                    require(score == 0, "a pupil has a confidence")
                else:
                    comparison.require(frame, person, name, [*found, score])
        place += 1
body.done("pose-format body")
whole.done("pose-format face and hands")
