"""movement: the array of a whole clip, with names, identities and frame rate."""

import numpy as np
from movement.io import load_poses

from expected import FOLDER, Comparison, require

dense = np.load(FOLDER / "dense.npz")
points, ids = dense["points"], [str(number) for number in dense["ids"]]
comparison = Comparison("wholebody")
data = load_poses.from_numpy(
    position_array=points[..., :2].transpose(0, 3, 2, 1),
    confidence_array=points[..., 2].transpose(0, 2, 1),
    individual_names=ids,
    keypoint_names=comparison.names,
    fps=1 / (dense["times_s"][1] - dense["times_s"][0]),
    source_software="dwpose_infer",
)
# Releases differ in whether the dimensions are called keypoints or keypoint, and so on.
kinds = {word.rstrip("s"): word for word in data.position.dims}
require(abs(float(data.time[2]) - comparison.times_s[2]) < 1e-9, f"times: {data.time.values}")
for frame in range(3):
    for person, number in enumerate(ids):
        for name in comparison.names:
            at = {kinds["keypoint"]: name, kinds["individual"]: number}
            found = data.isel(time=frame).sel(at)
            values = [*found.position.sel(space=["x", "y"]).values, float(found.confidence)]
            comparison.require(frame, person, name, values)
comparison.done("clip's array")
