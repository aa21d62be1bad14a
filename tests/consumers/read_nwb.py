"""ndx-pose: a clip's NWB file, written with our writer, read with pynwb and held to its rules."""

from pynwb import NWBHDF5IO, validate

from dwpose_infer.formats import load_clip
from dwpose_infer.formats.clip_files import save_clip
from expected import FOLDER, Comparison, require

clip = load_clip(FOLDER / "clip.jsonl")
path = save_clip(
    [frame.result for frame in clip],
    FOLDER / "clip.nwb",
    indices=clip.indices,
    times_s=clip.times_s,
)
comparison = Comparison("wholebody")
problems = validate(path=str(path))
require(not problems, f"not as its schema has it: {problems}")
with NWBHDF5IO(path, "r") as file:
    behavior = file.read().processing["behavior"]
    skeleton = behavior["Skeletons"].skeletons["wholebody"]
    require(list(skeleton.nodes[:]) == comparison.names, "other names of points")
    require(skeleton.edges.shape == (65, 2), f"bones: {skeleton.edges.shape}")
    for person, number in enumerate(comparison.ids):
        found = behavior[f"person_{number}"].pose_estimation_series
        require(set(found) == set(comparison.names), "other names of points")
        for name, series in found.items():
            times_s = list(series.timestamps[:])
            require(times_s == comparison.times_s, f"times: {times_s}")
            for frame in range(3):
                values = [*series.data[frame], series.confidence[frame]]
                comparison.require(frame, person, name, values)
comparison.done("NWB file")
