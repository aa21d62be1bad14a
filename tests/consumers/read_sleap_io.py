"""sleap-io: the data set with all points in one list, which it names by the category's names."""

import sleap_io

from expected import FOLDER, Comparison, require

labels = sleap_io.load_coco(
    str(FOLDER / "dataset_one-list.json"), dataset_root=str(FOLDER / "pictures")
)
comparison = Comparison("wholebody")
unsure = comparison.document["unsure"]
require(len(labels.labeled_frames) == 3, f"{len(labels.labeled_frames)} frames")
require(len(labels.skeletons[0].edges) == 65, f"{len(labels.skeletons[0].edges)} bones")
for frame in labels.labeled_frames:
    require(len(frame.instances) == 2, f"{len(frame.instances)} people")
    for person, instance in enumerate(frame.instances):
        points = dict(zip(instance.skeleton.node_names, instance.numpy(), strict=True))
        require(set(points) == set(comparison.names), "other names of points")
        for name, point in points.items():
            if name in unsure:
                require(bool(point[0] != point[0]), f"{name} is labelled")
                continue
            comparison.require(frame.frame_idx, person, name, point)
comparison.done("data set")
