"""pose-format: a clip's `.pose`, written with our writer and read by name."""

from pose_format import Pose
from pose_format.utils.generic import detect_known_pose_format

from dwpose_infer.formats import load_clip
from dwpose_infer.formats.clip_files import save_clip
from expected import FOLDER, Comparison, require

clip = load_clip(FOLDER / "clip.jsonl")
path = save_clip(
    [frame.result for frame in clip],
    FOLDER / "clip.pose",
    indices=clip.indices,
    times_s=clip.times_s,
)
pose = Pose.read(path.read_bytes())
require(detect_known_pose_format(pose) == "coco_wholebody_133", "another kind of pose")
require(pose.body.fps == 25, f"{pose.body.fps} frames per second")
require(pose.body.data.shape == (3, 2, 133, 2), f"{pose.body.data.shape}")
comparison = Comparison("wholebody")
for component in pose.header.components:
    side = component.name.split("_")[0].lower()
    hand = [name for name in comparison.names if name.startswith(f"{side}_")]
    first = comparison.names.index(f"{side}_hand_root") if component.name.endswith("HAND") else 0
    for number, point in enumerate(component.points):
        place = pose.header.get_point_index(component.name, point)
        name = comparison.names[first + number] if hand and first else point
        for frame in range(3):
            for person in range(2):
                found = pose.body.data[frame, person, place].filled(0)
                values = [*found, pose.body.confidence[frame, person, place]]
                comparison.require(frame, person, name, values)
comparison.done(".pose file")
