"""What tests of `dwpose-infer` on videos share: options, and files read back."""

from __future__ import annotations

from dwpose_infer.media import read_frame_log

FRAMES = 12
FEW = ["--threads", "1", "--quiet"]


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def decoded(path):
    import av

    with av.open(str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="bgr24"))
            for frame in container.decode(video=0)
        ]


def logged(path):
    return list(read_frame_log(path))
