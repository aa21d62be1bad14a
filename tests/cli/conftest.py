from __future__ import annotations

import shutil

import numpy as np
import pytest
from cli_videos import FRAMES

from dwpose_infer.images import read_image
from dwpose_infer.media import VideoWriter


@pytest.fixture(scope="session")
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
