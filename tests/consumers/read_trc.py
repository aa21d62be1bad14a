"""OpenSim and Pose2Sim: a person's `.trc`, by their own readers and by Pose2Sim's names."""

import logging
import math

logging.disable()

import opensim
from anytree import PreOrderIter
from Pose2Sim.common import read_trc
from Pose2Sim.skeletons import COCO_133

from expected import FOLDER, Comparison, require

opensim.Logger.setLevelString("off")
ids = {node.name: node.id for node in PreOrderIter(COCO_133) if node.id is not None}
comparison = Comparison("wholebody")
unsure = comparison.document["unsure"]
for person, number in enumerate(comparison.ids):
    path = str(FOLDER / f"clip_trc/clip_id{number}.trc")
    table = opensim.TimeSeriesTableVec3(path)
    require(table.getTableMetaDataAsString("Units") == "px", "another unit")
    times = table.getIndependentColumn()
    require(all(map(math.isclose, times, comparison.times_s)), f"times: {times}")
    columns, _, _, markers, _ = read_trc(path)
    require(list(table.getColumnLabels()) == markers, "they read other names")
    for name, index in ids.items():
        ours = comparison.names[index]
        column = table.getDependentColumn(name)
        pair = columns[name].to_numpy()
        for frame in range(3):
            x, y, z = (column[frame].get(axis) for axis in range(3))
            same = math.isnan(x) or [x, y, z] == pair[frame].tolist()
            require(same, f"{name}: {[x, y, z]} by OpenSim, {pair[frame]} by Pose2Sim")
            if ours in unsure:
                require(math.isnan(x), f"{ours} has a place")
            else:
                comparison.require(frame, person, ours, [x, -y])
comparison.done(".trc files")
