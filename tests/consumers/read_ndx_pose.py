"""ndx-pose: the array of a whole clip in an NWB file, written and read with pynwb."""

import datetime
import tempfile
from pathlib import Path

import numpy as np
from ndx_pose import PoseEstimation, PoseEstimationSeries, Skeleton, Skeletons
from pynwb import NWBHDF5IO, NWBFile

from expected import FOLDER, Comparison, require

dense = np.load(FOLDER / "dense.npz")
comparison = Comparison("wholebody")
begun = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
nwb = NWBFile(session_description="a clip", identifier="clip", session_start_time=begun)
behavior = nwb.create_processing_module(name="behavior", description="poses")
skeleton = Skeleton(name="wholebody", nodes=comparison.names)
behavior.add(Skeletons(skeletons=[skeleton]))
for person, number in enumerate(dense["ids"]):
    series = [
        PoseEstimationSeries(
            name=name,
            description=name,
            data=dense["points"][:, person, index, :2],
            confidence=dense["points"][:, person, index, 2],
            unit="pixels",
            reference_frame="top left corner of the picture",
            timestamps=dense["times_s"],
        )
        for index, name in enumerate(comparison.names)
    ]
    behavior.add(
        PoseEstimation(
            name=f"person {number}",
            pose_estimation_series=series,
            description="whole body",
            source_software="dwpose_infer",
            skeleton=skeleton,
        )
    )
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "clip.nwb"
    with NWBHDF5IO(path, "w") as file:
        file.write(nwb)
    with NWBHDF5IO(path, "r") as file:
        read = file.read().processing["behavior"]
        for person, number in enumerate(dense["ids"]):
            found = read[f"person {number}"].pose_estimation_series
            require(set(found) == set(comparison.names), "other names of points")
            for name, series in found.items():
                for frame in range(3):
                    values = [*series.data[frame], series.confidence[frame]]
                    comparison.require(frame, person, name, values)
comparison.done("clip's array, through NWB")
