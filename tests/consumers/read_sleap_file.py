"""sleap-io: a clip's `.slp`, written with our writer; movement reads the same file."""

import sleap_io
from movement.io import load_poses

from dwpose_infer.formats import load_clip
from dwpose_infer.formats.clip_files import save_clip
from expected import FOLDER, Comparison, require

clip = load_clip(FOLDER / "clip.jsonl")
path = save_clip(
    [frame.result for frame in clip],
    FOLDER / "clip.slp",
    indices=clip.indices,
    times_s=clip.times_s,
)
labels = sleap_io.load_slp(str(path), open_videos=False)
comparison = Comparison("wholebody")
require(len(labels.labeled_frames) == 3, f"{len(labels.labeled_frames)} frames")
require(len(labels.skeletons[0].edges) == 65, f"{len(labels.skeletons[0].edges)} bones")
require(len(labels.skeletons[0].symmetries) > 50, "no mirrored pairs")
for frame in labels.labeled_frames:
    tracks = [instance.track.name for instance in frame.instances]
    require(tracks == [str(number) for number in comparison.ids], f"tracks: {tracks}")
    for person, instance in enumerate(frame.instances):
        require(abs(instance.score - 0.75) < 1e-6, f"score {instance.score}")
        for name, point in zip(instance.skeleton.node_names, instance.points, strict=True):
            values = [*point["xy"], point["score"]]
            comparison.require(frame.frame_idx, person, name, values)
comparison.done(".slp file")
data = load_poses.from_file(path, source_software="SLEAP", fps=25)
kinds = {word.rstrip("s"): word for word in data.position.dims}
again = Comparison("wholebody")
for frame in range(3):
    for person, number in enumerate(again.ids):
        for name in again.names:
            at = {kinds["keypoint"]: name, kinds["individual"]: str(number)}
            found = data.isel(time=frame).sel(at)
            values = [*found.position.sel(space=["x", "y"]).values, float(found.confidence)]
            again.require(frame, person, name, values)
again.done(".slp file, by movement")
