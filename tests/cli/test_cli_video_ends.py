"""Videos that are interrupted, end early or never, and runs that go on."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from cli_videos import FEW, FRAMES, decoded, files, logged

from dwpose_infer import formats
from dwpose_infer.cli import clip_outputs, video
from dwpose_infer.cli.infer import main
from dwpose_infer.images import read_image
from dwpose_infer.media import Frame, Source

av = pytest.importorskip("av")


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
