#!/usr/bin/env bash
# Pose2Sim 0.10.49, triangulation.triangulate_all with frame_range = "auto", the default.
#
# One would think that "auto" takes the frames that the files of the pose folder are named by, or
# says which it leaves out. It takes the numbers from 0 up to how many files there are. So of a trial
# cut out of a longer one, whose files keep their numbers, the first frames are looked for where none
# are, and as many at the end are left out. Of the first it warns that they could not be triangulated,
# with advice on thresholds; of the last it says nothing. Given as numbers, frame_range takes all.
#
# Seen with two cameras and 40 files each, numbered from 10 to 49: 30 frames are written, 10 to 39;
# with frame_range = [10, 50] 40 frames, and so with numbers from 0 to 39.
#
# Fails when these counts change.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check --no-deps pose2sim==0.10.49
# What its triangulation imports; all that the package requires would be several gigabytes.
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 pandas==3.1.1 scipy==1.17.1 \
    opencv-python-headless==5.0.0.93 matplotlib==3.11.2 rtoml==0.14.0 tqdm==4.70.1 anytree==2.13.0 \
    c3d==0.6.0 lxml==6.1.3

cat > trial.py <<'PY'
import contextlib, io, json, logging, os, pathlib, warnings
from importlib.metadata import version
warnings.simplefilter("ignore")
logging.disable()
import numpy as np, rtoml
from Pose2Sim.triangulation import triangulate_all

FRAMES, FOCAL = 40, 800.0
CAMERAS = {"cam01": [0.0, 0.0, 4.0], "cam02": [-1.0, 0.0, 4.0]}
start = pathlib.Path.cwd()

def frames_written(first, frame_range):
    session = start / f"session_{first}_{frame_range != 'auto'}"
    trial = session / "trial"
    (session / "calibration").mkdir(parents=True)
    (session / "Config.toml").write_text("")
    camera = {
        "size": [1000.0, 1000.0],
        "matrix": [[FOCAL, 0.0, 500.0], [0.0, FOCAL, 500.0], [0.0, 0.0, 1.0]],
        "distortions": [0.0] * 4,
        "rotation": [0.0] * 3,
        "fisheye": False,
    }
    calibration = {name: {"name": name, **camera, "translation": at} for name, at in CAMERAS.items()}
    (session / "calibration" / "Calib.toml").write_text(rtoml.dumps(calibration))
    rng = np.random.default_rng(0)
    body = rng.uniform(-1, 1, (25, 3))
    for name, at in CAMERAS.items():
        folder = trial / "pose" / f"{name}_json"
        folder.mkdir(parents=True)
        for frame in range(FRAMES):
            seen = body + [0.01 * frame, 0, 0] + at
            flat = [v for x, y, z in seen for v in (FOCAL * x / z + 500, FOCAL * y / z + 500, 0.9)]
            person = {"person_id": [-1], "pose_keypoints_2d": flat}
            path = folder / f"{name}_{first + frame:012d}_keypoints.json"
            path.write_text(json.dumps({"version": 1.3, "people": [person]}))
    triangulation = {
        "reproj_error_threshold_triangulation": 15,
        "likelihood_threshold_triangulation": 0.3,
        "min_cameras_for_triangulation": 2,
        "interpolation": "none",
        "min_chunk_size": 5,
        "make_c3d": False,
        "undistort_points": False,
        "handle_LR_swap": False,
        "show_interp_indices": False,
    }
    config = {
        "project": {
            "project_dir": str(trial), "session_dir": str(session), "frame_rate": 25,
            "frame_range": frame_range, "multi_person": False,
        },
        "pose": {"pose_model": "BODY_25", "vid_img_extension": "mp4"},
        "triangulation": triangulation,
    }
    os.chdir(trial)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        triangulate_all(config)
    (path,) = (trial / "pose-3d").glob("*.trc")
    rows = [line for line in path.read_text().splitlines()[5:] if line.strip()]
    return path.name, len(rows)

print("Pose2Sim", version("pose2sim"))
seen = {}
for first, frame_range in ((0, "auto"), (10, "auto"), (10, [10, 50])):
    name, rows = frames_written(first, frame_range)
    print(f"{FRAMES} files from {first}, frame_range {frame_range}: {rows} frames in {name}")
    seen[first, str(frame_range)] = rows
raise SystemExit(seen != {(0, "auto"): 40, (10, "auto"): 30, (10, "[10, 50]"): 40})
PY
venv/bin/python trial.py
