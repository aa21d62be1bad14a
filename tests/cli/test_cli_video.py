"""Videos through `dwpose-infer`, with the bundled networks and clips made here."""

from __future__ import annotations

import io
import json
import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from cli_videos import FEW, FRAMES, decoded, files, logged

from dwpose_infer import formats
from dwpose_infer.cli import video
from dwpose_infer.cli.infer import main
from dwpose_infer.inputs import Clip

av = pytest.importorskip("av")


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_ctrl_c_before_the_face_is_written_loses_no_poses(folder, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    arguments = ["clip.mp4", "--max-persons", "1", "--face-clip", "--end", "4f", "--threads", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(video, "save_face_clip", interrupted)
        assert main(arguments) == 130
    assert not (folder / "dwpose-out/clip_face.mp4").exists()
    assert main([*arguments, "--skip-existing"]) == 0
    names = ["clip.jsonl", "clip_face.mp4", "clip_overlay.mp4"]
    assert files(folder / "dwpose-out") == names
    assert "clip: 4 frames, " in (said := capsys.readouterr().err)
    assert "0 searched" in said


@pytest.mark.slow
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
