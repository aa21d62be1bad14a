"""Videos through `dwpose-infer`, with the bundled networks and clips made here."""

from __future__ import annotations

import io
import itertools
import json
import re
import shutil
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dwpose_infer import formats
from dwpose_infer.cli import clip_outputs, video
from dwpose_infer.cli.infer import main
from dwpose_infer.images import read_image
from dwpose_infer.inputs import Clip
from dwpose_infer.media import Frame, Source, VideoWriter, read_frame_log

av = pytest.importorskip("av")

FRAMES = 12
FEW = ["--threads", "1", "--quiet"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory, astronaut):
    """A portrait that moves to the right, 320x240, 12 frames of 25 per second."""
    import cv2

    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    portrait = cv2.resize(read_image(astronaut), (232, 232), interpolation=cv2.INTER_AREA)
    with VideoWriter(path, frame_rate=25) as writer:
        for index in range(FRAMES):
            image = np.full((240, 320, 3), 114, np.uint8)
            image[4:236, 3 * index + 10 : 3 * index + 242] = portrait
            writer.write(image)
    return path


@pytest.fixture
def folder(tmp_path, clip, astronaut, monkeypatch):
    """A working folder with clip.mp4 and in/one.jpg, in/two.mp4."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    shutil.copy(clip, tmp_path / "clip.mp4")
    shutil.copy(clip, tmp_path / "in/two.mp4")
    shutil.copy(astronaut, tmp_path / "in/one.jpg")
    return tmp_path


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def decoded(path):
    with av.open(str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="bgr24"))
            for frame in container.decode(video=0)
        ]


def logged(path):
    return list(read_frame_log(path))


def test_the_defaults(folder, capsys):
    assert main(["clip.mp4", "--threads", "1"]) == 0
    assert files(folder / "dwpose-out") == ["clip.jsonl", "clip_overlay.mp4"]
    frames = logged(folder / "dwpose-out/clip.jsonl")
    assert [frame.index for frame in frames] == list(range(FRAMES))
    # The strip between the portrait and its frame passes for a second person in six frames.
    persons = [len(frame.result) for frame in frames]
    assert set(persons) <= {1, 2} and persons.count(1) >= 6
    best = np.array([frame.result.boxes_xyxy[0] for frame in frames])
    centers = (best[:, 0] + best[:, 2]) / 2 - 3 * np.arange(FRAMES)
    assert np.abs(centers - np.median(centers)).max() < 20  # it moves 3 px a frame
    assert {frame.result.source for frame in frames} == {"clip.mp4"}
    before, after = decoded("clip.mp4"), decoded("dwpose-out/clip_overlay.mp4")
    assert [time_s for time_s, _ in after] == pytest.approx([time_s for time_s, _ in before])
    assert all((new != old).any() for (_, new), (_, old) in zip(after, before, strict=True))
    said = capsys.readouterr().err
    assert "clip: 12 frames, " in said
    assert "12 searched; at work: reading " in said
    assert "1 video, 12 frames; " in said


def test_the_command_of_the_readme(folder):
    arguments = ["--out", "clip_pose.mp4", "--format", "openpose", "--draw", "openpose"]
    assert main(["clip.mp4", *arguments, "--track", "--detect-every", "5", *FEW]) == 0
    written = decoded("clip_pose.mp4")
    assert len(written) == FRAMES
    assert np.median(written[-1][1]) < 20  # skeletons on black
    names = [path.name for path in sorted((folder / "clip_pose_keypoints").iterdir())]
    assert names == [f"clip_pose_{index:012d}_keypoints.json" for index in range(FRAMES)]
    last = json.loads((folder / "clip_pose_keypoints" / names[-1]).read_text())
    assert len(last["people"]) == 1


def test_a_clip_of_the_face(folder, capsys):
    part = ["--stride", "3", "--start", "3f", "--face-size", "96", "--face-clip", "--draw", "none"]
    assert main(["clip.mp4", "--json", "--max-persons", "1", *part, "--threads", "1"]) == 0
    assert files(folder / "dwpose-out") == ["clip_face.mp4"]
    assert "clip_face: face; 3 frames\n" in capsys.readouterr().err
    shown = decoded("dwpose-out/clip_face.mp4")
    assert [time_s for time_s, _ in shown] == pytest.approx([0, 0.12, 0.24])
    # The portrait moves 9 px a frame: in the steady square it stays where it is.
    assert np.abs(shown[0][1].astype(int) - shown[2][1]).mean() < 12
    assert shown[0][1].shape == (96, 96, 3)


def test_a_face_that_is_not_there_costs_no_other_file(folder, capsys):
    arguments = ["--track", "--face-clip", "--face-person", "9", "--end", "4f"]
    assert main(["clip.mp4", *arguments, *FEW]) == 1
    assert files(folder / "dwpose-out") == ["clip.jsonl", "clip_overlay.mp4"]
    assert "there is no face of a person 9 in the clip" in capsys.readouterr().err
    assert main(["rtsp://127.0.0.1:9/x", "--track", "--face-clip"]) == 2
    assert "is live and cannot be read a second time" in capsys.readouterr().err


def test_every_format_of_a_part_of_a_clip(folder):
    arguments = ["--format", "json,npz,csv,parquet", "--draw", "none", "--smooth"]
    part = ["--start", "2f", "--end", "9f", "--stride", "3"]
    pytest.importorskip("pyarrow")
    assert main(["clip.mp4", *arguments, *part, *FEW]) == 0
    names = ["clip.csv", "clip.jsonl", "clip.npz", "clip.parquet"]
    assert files(folder / "dwpose-out") == names
    with np.load("dwpose-out/clip.npz") as arrays:
        assert arrays["frame_indices"].tolist() == [2, 5, 8]
        np.testing.assert_allclose(arrays["frame_times_s"], [0.08, 0.2, 0.32])
    results = formats.load("dwpose-out/clip.npz")
    frames = logged("dwpose-out/clip.jsonl")
    for result, frame in zip(results, frames, strict=True):
        np.testing.assert_array_equal(result.keypoints, frame.result.keypoints)
        np.testing.assert_array_equal(result.ids, frame.result.ids)


@pytest.mark.slow
def test_pose2sim_finds_a_folder_by_its_name(folder, capsys):
    arguments = ["--out", "trial/pose", "--for", "pose2sim", "--draw", "none", "--threads", "1"]
    assert main(["clip.mp4", *arguments]) == 0
    (made,) = (folder / "trial/pose").iterdir()
    assert made.name == "clip_json"
    assert (made / "clip_000000000000_keypoints.json").is_file()
    assert "--openpose-folder json" in capsys.readouterr().err


@pytest.mark.slow
def test_pictures_and_clips_in_one_folder(folder, capsys):
    assert main(["in", "--out", "res", "--draw", "overlay,openpose", "--threads", "1"]) == 0
    drawings = ["one_openpose.png", "one_overlay.jpg", "two_openpose.mp4", "two_overlay.mp4"]
    assert files(folder / "res") == ["one.json", *drawings[:2], "two.jsonl", *drawings[2:]]
    assert "1 picture, 1 person; 1 video, 12 frames; " in capsys.readouterr().err


def test_json_on_standard_output(folder, capsys):
    assert main(["clip.mp4", "--json", "--end", "3f", "--threads", "1"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2]
    assert not (folder / "dwpose-out").exists()


def test_pictures_as_a_sequence(folder, astronaut):
    (folder / "row").mkdir()
    for index in range(3):
        shutil.copy(astronaut, folder / f"row/{index}.jpg")
    assert main(["row", "--sequence", "--frame-rate", "10", *FEW]) == 0
    times = [time_s for time_s, _ in decoded("dwpose-out/row_overlay.mp4")]
    assert times == pytest.approx([0, 0.1, 0.2])


@pytest.mark.slow
def test_sound_is_kept(folder):
    with av.open("clip.mp4") as silent, av.open("sound.mp4", "w") as container:
        video_in = silent.streams.video[0]
        video_out = container.add_stream_from_template(video_in)
        sound = container.add_stream("aac", rate=44100)
        sound.layout = "mono"
        for packet in silent.demux(video_in):
            if packet.dts is not None:
                packet.stream = video_out
                container.mux(packet)
        for block in range(20):
            wave = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44100, 1024 * block, Fraction(1, 44100)
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert main(["sound.mp4", "--format", "none", *FEW]) == 0
    with av.open("dwpose-out/sound_overlay.mp4") as container:
        assert len(container.streams.audio) == 1


def break_off(monkeypatch, after):
    """Ctrl-C after so many frames."""
    honest = clip_outputs.ClipWriter.write
    count = 0

    def write(self, frame, result):
        nonlocal count
        honest(self, frame, result)
        count += 1
        if count == after:
            raise KeyboardInterrupt

    monkeypatch.setattr(clip_outputs.ClipWriter, "write", write)


@pytest.mark.slow
def test_ctrl_c_leaves_valid_files_and_the_run_can_go_on(folder, capsys, monkeypatch):
    options = ["--format", "json,openpose,npz", "--track", "--smooth", "--detect-every", "4"]
    assert main(["clip.mp4", "--out", "whole", *options, *FEW]) == 0
    with monkeypatch.context() as context:
        break_off(context, after=7)
        assert main(["clip.mp4", "--out", "half", *options, "--threads", "1"]) == 130
    said = capsys.readouterr().err
    assert "interrupted; 1 video is left; run it again with --skip-existing to go on" in said
    assert len(decoded("half/clip_overlay.partial.mp4")) == 7
    assert len(logged("half/clip.jsonl")) == len(formats.load("half/clip.npz")) == 7
    assert len(list(Path("half/clip_keypoints").iterdir())) == 7

    searched = []
    honest = video.open_stream
    monkeypatch.setattr(
        video, "open_stream", lambda *a, **k: searched.append(len(k["known"])) or honest(*a, **k)
    )
    for _ in range(2):  # the second time nothing is left to do
        assert main(["clip.mp4", "--out", "half", *options, *FEW, "--skip-existing"]) == 0
    assert searched == [7]
    assert not list(Path("half").glob(".*"))
    assert len(decoded("half/clip_overlay.mp4")) == FRAMES
    whole, half = (formats.load(f"{name}/clip.npz") for name in ("whole", "half"))
    for one, other in zip(whole, half, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-3)


@pytest.mark.slow
def test_other_settings_do_not_go_on_with_an_unfinished_run(folder, monkeypatch):
    with monkeypatch.context() as context:
        break_off(context, after=3)
        assert main(["clip.mp4", "--draw", "none", *FEW]) == 130
    known = []
    honest = video.open_stream
    monkeypatch.setattr(
        video, "open_stream", lambda *a, **k: known.append(len(k["known"])) or honest(*a, **k)
    )
    again = ["clip.mp4", "--draw", "none", *FEW, "--skip-existing"]
    assert main([*again, "--detect-every", "2"]) == 0
    assert known == [0]


class LiveSource(Source):
    """Portraits at the pace of a camera, without an end."""

    def __init__(self, image_bgr):
        self.name, self.is_live, self.frame_rate, self.frame_count = "camera", True, None, None
        self.size_wh = (image_bgr.shape[1], image_bgr.shape[0])
        self.image_bgr = image_bgr
        self.closed = threading.Event()

    @property
    def dropped_frames(self):
        return 0

    def __iter__(self):
        for index in itertools.count():
            if self.closed.wait(0.02):
                return
            yield Frame(index, index / 50, self.image_bgr)

    def close(self):
        self.closed.set()


@pytest.mark.parametrize("by_key", [True, False])
def test_a_camera_until_it_is_ended(folder, astronaut, monkeypatch, capsys, by_key):
    """Ctrl-C is how a live stream ends; --end is another way."""
    source = LiveSource(read_image(astronaut))
    monkeypatch.setattr(video, "open_source", lambda *_, **__: source)
    if by_key:
        break_off(monkeypatch, after=3)
    live = ["--camera", "0", "--threads", "1", *([] if by_key else ["--end", "0.1"])]
    assert main(live) == 0
    assert source.closed.is_set()
    names = ["camera0.jsonl", "camera0_overlay.mp4"]
    assert files(folder / "dwpose-out") == names
    frames = logged("dwpose-out/camera0.jsonl")
    assert len(decoded("dwpose-out/camera0_overlay.mp4")) == len(frames) > 0
    assert len(frames) == 3 if by_key else frames[-1].time_s < 0.1
    said = capsys.readouterr().err  # the frame at the end was looked at, but is none of the clip's
    counts = re.search(r"camera0: (\d+) frame.*\n.*1 video, (\d+) frame", said)
    assert counts is not None and counts[1] == counts[2]
    assert by_key or int(counts[1]) == len(frames)


@pytest.mark.slow
def test_a_clip_that_is_cut_off(folder, capsys):
    with av.open("clip.mp4") as whole:
        container = av.open("cut.mp4", "w", options={"movflags": "+faststart"})
        copy = container.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                packet.stream = copy
                container.mux(packet)
        container.close()
    data = Path("cut.mp4").read_bytes()
    Path("cut.mp4").write_bytes(data[: len(data) * 9 // 10])
    assert main(["cut.mp4", "in/two.mp4", "--threads", "1"]) == 1
    said = capsys.readouterr().err
    assert "dwpose-infer: error: cut.mp4: " in said
    assert "left out, it is cut off" in said
    assert "Traceback" not in said
    frames = logged("dwpose-out/cut.jsonl")
    assert 0 < len(frames) < FRAMES
    assert len(decoded("dwpose-out/cut_overlay.mp4")) == len(frames)
    assert len(decoded("dwpose-out/two_overlay.mp4")) == FRAMES  # the other one is done


def test_files_that_are_no_video(folder, capsys):
    Path("text.mp4").write_text("no video at all")
    Path("empty.mp4").touch()
    with av.open("sound.mp4", "w") as container:
        sound = container.add_stream("aac", rate=44100)
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    names = ["text.mp4", "empty.mp4", "sound.mp4", "missing.mp4"]
    assert main([*names, *FEW]) == 1
    said = capsys.readouterr().err
    for name in names:
        assert f"error: {name}" in said
    assert "Traceback" not in said
    assert not (folder / "dwpose-out").exists() or not files(folder / "dwpose-out")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["clip.mp4", "--format", "coco"], 2, "use json, openpose, npz, csv, parquet"),
        (["clip.mp4", "--out", "x.avi"], 2, "videos are written as .mp4"),
        (["clip.mp4", "in", "--out", "x.mp4"], 2, "name a folder instead"),
        (["clip.mp4", "in/two.mp4", "--out", "x.mp4"], 2, "name a folder instead"),
        (["clip.mp4", "--out", "x.mp4", "--draw", "overlay,openpose"], 2, "one --draw"),
        (["clip.mp4", "--out", "clip.mp4"], 2, "is an input and would be overwritten"),
        (["in/one.jpg", "--out", "x.mp4"], 2, "not every input is one"),
        (["clip.mp4", "--start", "soon"], 2, "start is 'soon'"),
        (["clip.mp4", "--start", "2", "--end", "1"], 2, "not after the start"),
        (["clip.mp4", "--frame-rate", "10"], 2, "its own frame rate"),
        (["rtsp://user:secret@localhost:1/a", "--start", "1"], 2, "is live"),
        (["rtsp://user:secret@127.0.0.1:9/a"], 1, "rtsp://user:***@127.0.0.1:9/a"),
        (["clip.mp4", "--start", "60"], 1, "clip.mp4"),
        (["--camera", "63"], 1, "camera 63"),
    ],
)
def test_failures(folder, capfd, arguments, status, message):
    assert main([*arguments, "--threads", "1"]) == status
    said = capfd.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "arguments",
    [["--camera", "front"], ["clip.mp4", "--detect-every", "0"], ["a", "--frame-rate", "-1"]],
)
def test_wrong_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2


def test_folder_that_cannot_be_written(folder, capsys):
    Path("taken").touch()
    assert main(["clip.mp4", "--out", "taken", *FEW]) == 1
    assert "is a file, not a folder" in capsys.readouterr().err


def test_an_open_cv_without_windows_is_told_before_the_work(folder, capsys):
    from dwpose_infer.media.preview import has_gui

    if has_gui():
        pytest.skip("this OpenCV has windows")
    assert main(["clip.mp4", "--preview"]) == 3
    assert "opencv-python has" in capsys.readouterr().err
    assert not (folder / "dwpose-out").exists()


@pytest.mark.parametrize(
    ("package", "options"), [("av", []), ("scipy", ["--track", "--draw", "none"])]
)
def test_a_missing_package_is_told_before_the_work(folder, package, options):
    code = (
        f"import sys\nsys.modules[{package!r}] = None\n"
        "from dwpose_infer.cli.infer import main\n"
        f"sys.exit(main(['clip.mp4', *{options!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert 'pip install "dwpose-infer[video]"' in done.stderr
    assert not (folder / "dwpose-out").exists()


@pytest.mark.slow
def test_without_pyav_opencv_reads(folder):
    code = (
        "import sys\nsys.modules['av'] = None\n"
        "from dwpose_infer.cli.infer import main\n"
        "sys.exit(main(['clip.mp4', '--draw', 'none', '--end', '3f', '--quiet']))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(logged("dwpose-out/clip.jsonl")) == 3


@pytest.mark.slow
def test_a_disk_that_is_full(folder):
    """A file may not grow above 20 kB, which is about three lines of the log and no video."""
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from dwpose_infer.cli.infer import main\n"
        "sys.exit(main(['clip.mp4', '--threads', '1']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "dwpose-infer: error: clip.mp4: cannot write dwpose-out/" in done.stderr
    assert "Traceback" not in done.stderr
    assert 0 < len(logged("dwpose-out/clip.jsonl")) < FRAMES


def test_one_bar_over_many_clips(tmp_path):
    """Clips count by the sizes of their files; the time left is that of all of them."""
    clips = []
    for name, size in (("long.mp4", 900), ("short.mp4", 100)):
        (tmp_path / name).write_bytes(b"x" * size)
        clips.append(Clip(str(tmp_path / name), Path(name).with_suffix("")))
    shown = io.StringIO()
    with video.OverallBar(clips, shown=True, file=shown) as overall:
        assert (overall.bar.n, overall.bar.total) == (0, 1000)
        overall.advance(50, 100)
        assert overall.bar.n == 450
        overall.advance(70, None)  # a clip of unknown length: nothing is known, nothing taken back
        assert overall.bar.n == 450
        overall.finish_clip()
        assert overall.bar.n == 900
        overall.advance(120, 100)  # the header promised fewer frames
        overall.finish_clip()
        overall.bar.refresh()
        assert overall.bar.n == 1000
    assert "2 videos: 100%" in shown.getvalue() and "2 done" in shown.getvalue()
    alone = video.OverallBar(clips[:1], shown=True, file=io.StringIO())
    assert alone.bar.disable
    cameras = [Clip("0", Path("camera0")), Clip("rtsp://a/b", Path("b"))]
    assert video.OverallBar(cameras, shown=False).bar.disable
