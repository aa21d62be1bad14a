from __future__ import annotations

import numpy as np
import pytest

av = pytest.importorskip("av")
from video_samples import make_clip, square_left, video_times

from dwpose_infer.errors import InputError
from dwpose_infer.media import DamagedFrame, Frame, open_source
from dwpose_infer.media.fragments import cut_to_whole_fragments


def read(path, **options):
    """All whole frames, and all damaged ones."""
    with open_source(path, **options) as source:
        items = list(source)
    whole = [item for item in items if isinstance(item, Frame)]
    damaged = [item for item in items if isinstance(item, DamagedFrame)]
    assert len(whole) + len(damaged) == len(items)
    return whole, damaged


def cut(path, share=0.6):
    """Keeps the beginning of a file."""
    data = path.read_bytes()
    shorter = path.with_name(f"cut{path.suffix}")
    shorter.write_bytes(data[: int(len(data) * share)])
    return shorter


@pytest.mark.parametrize(
    ("ending", "codec", "container_options"),
    [
        ("mp4", "libx264", {"movflags": "+faststart"}),
        ("mkv", "libx264", {}),
        ("avi", "mpeg4", {}),
        ("mp4", "libx264", {"movflags": "+frag_keyframe+empty_moov"}),
    ],
)
def test_a_file_cut_off_gives_what_is_there_and_then_says_so(
    tmp_path, ending, codec, container_options
):
    clip = cut(
        make_clip(tmp_path / f"a.{ending}", codec=codec, container_options=container_options)
    )
    whole, damaged = read(clip)
    assert 10 <= len(whole) < 50
    assert [frame.index for frame in whole] == list(range(len(whole)))
    assert [square_left(frame.image_bgr) for frame in whole] == pytest.approx(
        [2 * frame.index % 136 for frame in whole], abs=1
    )
    assert damaged[-1].is_last
    assert not any(item.is_last for item in damaged[:-1])
    assert damaged[-1].index >= len(whole)
    assert "cut off" in str(damaged[-1].error)
    assert str(clip) in str(damaged[-1].error)


def test_the_number_of_lost_frames_is_told(tmp_path):
    clip = cut(make_clip(tmp_path / "a.mp4", container_options={"movflags": "+faststart"}))
    whole, damaged = read(clip)
    assert f"{60 - len(whole)} of its 60 frames are missing" in str(damaged[-1].error)


def test_a_part_before_the_cut_is_no_error(tmp_path):
    clip = cut(make_clip(tmp_path / "a.mp4", container_options={"movflags": "+faststart"}))
    whole, damaged = read(clip, end="10f")
    assert (len(whole), damaged) == (10, [])


def test_an_mp4_without_its_index_cannot_be_read(tmp_path):
    clip = cut(make_clip(tmp_path / "a.mp4"))
    with pytest.raises(InputError, match="without its end nothing can be read"):
        open_source(clip)


def test_damage_in_the_middle_is_told_frame_by_frame(tmp_path, rng):
    clip = make_clip(tmp_path / "a.mp4")
    with av.open(str(clip)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        hit = max((packet for packet in packets[20:40]), key=lambda packet: packet.size)
        place, size = hit.pos, hit.size
    data = bytearray(clip.read_bytes())
    data[place + 4 : place + size] = rng.integers(0, 256, size - 4, np.uint8).tobytes()
    clip.write_bytes(data)
    whole, damaged = read(clip)
    assert damaged
    assert not any(item.is_last for item in damaged)
    assert len(whole) + len(damaged) == 60
    assert all(isinstance(item.error, InputError) for item in damaged)
    assert f"frame {damaged[0].index} at" in str(damaged[0].error)
    assert all(20 <= item.index < 40 for item in damaged)
    assert [frame.index for frame in whole if frame.index >= 48] == list(range(48, 60))


def test_no_video_stream(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=8000)
        sound.layout = "mono"
        silence = np.zeros((1, 800), np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with pytest.raises(InputError, match="no video stream in it, only audio"):
        open_source(path)


def test_no_frame_at_all(tmp_path):
    path = tmp_path / "none.y4m"
    path.write_text("YUV4MPEG2 W160 H120 F25:1 Ip A1:1 C420\n")
    with pytest.raises(InputError, match="there is no frame in it"):
        open_source(path)


@pytest.mark.parametrize("content", [b"", b"no video " * 50, bytes(5000)])
def test_what_is_no_video(tmp_path, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"clip\.mp4: it is no video that can be read"):
        open_source(path)


def test_an_unfinished_fragmented_file_can_be_cut_where_it_is_whole(tmp_path):
    options = {"movflags": "+frag_keyframe+empty_moov"}
    clip = make_clip(tmp_path / "a.mp4", container_options=options)
    data = clip.read_bytes()
    counts = []
    for share in (0.6, 0.75, 0.95):
        clip.write_bytes(data[: int(share * len(data))])
        assert cut_to_whole_fragments(clip)
        counts.append(len(video_times(clip)))
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1] < 60
    assert all(count % 12 == 0 for count in counts)  # key frames, and so fragments, every 12


def test_a_file_without_fragments_is_left_alone(tmp_path):
    clip = make_clip(tmp_path / "a.mp4")
    data = clip.read_bytes()
    assert not cut_to_whole_fragments(clip)
    assert clip.read_bytes() == data
