"""Every reader of files that come from elsewhere, with sound files for it to be damaged."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fuzz_damage import (
    Damage,
    damage_bytes,
    damage_json,
    damage_lines,
    damage_png,
    damage_table,
    damage_zip,
)

TESTS = Path(__file__).resolve().parents[1]
for folder in (TESTS, TESTS / "evaluation", TESTS / "media"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

MAX_PIXELS = 4_000_000


@dataclass(frozen=True)
class Sample:
    """A sound file: its name, its bytes, and how it is damaged."""

    name: str
    data: bytes
    damage: Damage = damage_bytes


@dataclass(frozen=True)
class Reader:
    """A reader.

    Attributes:
        samples: Makes sound files in a folder.
        read: Reads a file.
        share: How many of a hundred inputs are for this reader.
    """

    samples: Callable[[Path], Iterator[Sample]]
    read: Callable[[Path], object]
    share: float


def _picture_samples(folder: Path) -> Iterator[Sample]:
    from PIL import Image

    rng = np.random.default_rng(1)
    colour = Image.fromarray(rng.integers(0, 256, (24, 40, 3), np.uint8))
    frames = [Image.fromarray(rng.integers(0, 256, (16, 16, 4), np.uint8)) for _ in range(3)]
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    formats: list[tuple[str, dict[str, Any]]] = [
        ("JPEG", {"exif": exif}),
        ("JPEG", {"progressive": True}),
        ("PNG", {"exif": exif}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("AVIF", {"exif": exif}),
        *((name, {}) for name in ("BMP", "DIB", "GIF", "PPM", "TGA", "PCX", "SGI", "ICO", "DDS")),
        *((name, {}) for name in ("JPEG2000", "ICNS", "BLP", "MPO", "QOI")),
        *(("TIFF", {"compression": each}) for each in ("raw", "tiff_lzw", "jpeg", "packbits")),
    ]
    for number, (name, options) in enumerate(formats):
        picture = colour.quantize() if name == "BLP" else colour
        buffer = io.BytesIO()
        try:
            picture.save(buffer, name, **options)
        except (KeyError, OSError):  # this Pillow does not write it
            continue
        damage = damage_png if name == "PNG" else damage_bytes
        yield Sample(f"{number}.{name.lower()}", buffer.getvalue(), damage)
    for name in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        buffer = io.BytesIO()
        frames[0].save(buffer, name, save_all=True, append_images=frames[1:])
        damage = damage_png if name == "PNG" else damage_bytes
        yield Sample(f"several.{name.lower()}", buffer.getvalue(), damage)
    for mode in ("1", "L", "LA", "P", "I;16", "RGBA", "CMYK", "F"):
        buffer = io.BytesIO()
        base = Image.new("I;16", (24, 24), 1000) if mode == "I;16" else colour.convert(mode)
        base.save(buffer, "TIFF" if mode in ("CMYK", "F") else "PNG")
        damage = damage_bytes if mode in ("CMYK", "F") else damage_png
        yield Sample(f"{mode.replace(';', '')}.picture", buffer.getvalue(), damage)


def _read_picture(path: Path) -> object:
    from dwpose_infer.images import read_picture

    return read_picture(path, max_pixels=MAX_PIXELS)


def _read_lazy_picture(path: Path) -> object:
    """A picture that Pillow has opened, but not decoded, as callers pass it."""
    from PIL import Image

    from dwpose_infer.images import read_picture

    try:
        picture = Image.open(path)
    except Exception:  # the caller's own call, and the caller's error
        return None
    if picture.width * picture.height > MAX_PIXELS:
        return None
    with picture:
        return read_picture(picture, max_pixels=MAX_PIXELS)


def _pose_file_samples(folder: Path) -> Iterator[Sample]:
    from format_samples import full, ramp

    from dwpose_infer.formats import FORMATS, save
    from dwpose_infer.formats.clip_files import save_clip

    damages = {".json": damage_json, ".csv": damage_table, ".npz": damage_zip}
    for name, item in FORMATS.items():
        if name == "trc":
            path = folder / "clip.trc"
            save_clip([ramp(), ramp()], path, indices=[0, 2], times_s=[0.0, 0.1])
            yield Sample(path.name, path.read_bytes(), damage_table)
        if item.per == "clip":
            continue
        results = [full()] if name == "openpose" else [full(), full(1, "b/17.jpg")]
        path = save(results, folder / f"{name}{item.ending}", format=name)
        yield Sample(path.name, path.read_bytes(), damages.get(item.ending, damage_bytes))
        if item.of_clip == "file":
            path = folder / f"clip_{name}{item.ending}"
            save_clip([ramp(), ramp()], path, indices=[0, 2], times_s=[0.0, None], format=name)
            yield Sample(path.name, path.read_bytes(), damages.get(item.ending, damage_bytes))


def _read_pose_file(path: Path) -> object:
    from dwpose_infer.formats import load, load_clip

    if path.name.startswith("clip_"):
        load_clip(path)
    return load(path)


def _frame_log_samples(folder: Path) -> Iterator[Sample]:
    from format_samples import full

    from dwpose_infer.formats.frame_log import FrameLog

    path = folder / "log.jsonl"
    with FrameLog(path) as log:
        log.write(0, 0.0, full(1))
        log.write_damaged(1, None, "the frame is damaged")
        log.write(2, 0.1, full(0))
    yield Sample("log.jsonl", path.read_bytes(), damage_lines)


def _read_frame_log(path: Path) -> object:
    from dwpose_infer.formats.frame_log import FrameLog, read_frame_log

    try:
        list(read_frame_log(path))
    finally:
        FrameLog(path, resume=True).close()
    return None


def _annotation_samples(folder: Path) -> Iterator[Sample]:
    from eval_samples import labelled_persons

    path = labelled_persons(folder, np.random.default_rng(2))
    yield Sample("labels.json", path.read_bytes(), damage_json)


def _read_annotations(path: Path) -> object:
    from dwpose_infer.annotations import read_annotations
    from dwpose_infer.formats.image_ids import ImageIds

    try:
        ImageIds.of(path)
    finally:
        read_annotations(path)
    return None


def _results_samples(folder: Path) -> Iterator[Sample]:
    from format_samples import full

    from dwpose_infer.formats import save

    path = save([full()], folder / "results.json", format="coco", bbox=True)
    yield Sample("results.json", path.read_bytes(), damage_json)
    boxes = [{"image_id": 785, "category_id": 1, "bbox": [1.5, 2, 30, 40], "score": 0.5}]
    yield Sample("boxes.json", json.dumps(boxes).encode(), damage_json)


def _read_results(path: Path) -> object:
    from dwpose_infer.evaluation.results_file import read_boxes, read_results

    return read_boxes(path) if path.name.startswith("boxes") else read_results(path)


def _document_samples(folder: Path) -> Iterator[Sample]:
    from dwpose_infer.zoo.lock import FileRecord, lock_path, write_lock
    from dwpose_infer.zoo.places import package_file

    model = folder / "lock"
    write_lock(model, FileRecord(url="https://example.org/a.onnx", size_bytes=9, sha256="0" * 64))
    yield Sample("a.onnx.lock.json", lock_path(model).read_bytes(), damage_json)
    manifest = package_file("zoo", "manifest.json")
    yield Sample("manifest.json", manifest.read_bytes(), damage_json)
    results = TESTS.parent / "benchmarks" / "results"
    for name in ("latency_cpu", "everyday_val_pose_1_whole"):
        yield Sample(f"{name}.json", (results / f"{name}.json").read_bytes(), damage_json)


def _read_document(path: Path) -> object:
    from dwpose_infer.benchmarks.latency.result import LatencyDocument
    from dwpose_infer.evaluation.document import EvaluationDocument
    from dwpose_infer.files.document import read_document
    from dwpose_infer.zoo.lock import read_lock
    from dwpose_infer.zoo.manifest import _Manifest

    if path.name.endswith(".lock.json"):
        return read_lock(path.with_name(path.name.removesuffix(".lock.json")))
    kinds = {"manifest": _Manifest, "latency_cpu": LatencyDocument}
    return read_document(path, kinds.get(path.stem, EvaluationDocument))


def _settings_samples(folder: Path) -> Iterator[Sample]:
    from dwpose_infer.models.training.recipes import recipe, recipe_names
    from dwpose_infer.models.training.settings.choosing import settings_json

    text = settings_json(recipe(recipe_names()[0]))
    yield Sample("settings.json", text.encode(), damage_json)


def _read_settings(path: Path) -> object:
    from dwpose_infer.models.training.settings.choosing import read_settings

    return read_settings(path)


def _checkpoint_samples(folder: Path) -> Iterator[Sample]:
    import torch
    from safetensors.torch import save_file

    state = {"backbone.a": torch.arange(6.0).reshape(2, 3), "head.b": torch.ones(4).half()}
    for name, document in (("plain.pth", state), ("nested.pth", {"state_dict": state, "meta": {}})):
        torch.save(document, folder / name)
        yield Sample(name, (folder / name).read_bytes(), damage_zip)
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    yield Sample("old.pth", (folder / "old.pth").read_bytes())
    save_file(state, folder / "state.safetensors")
    yield Sample("state.safetensors", (folder / "state.safetensors").read_bytes())


def _read_checkpoint(path: Path) -> object:
    from dwpose_infer.models.checkpoints import read_state_dict

    return read_state_dict(path)


def _network_samples(folder: Path) -> Iterator[Sample]:
    import onnx
    from onnx import TensorProto, helper

    def info(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes = [helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2, 3], keepdims=0)]
    for name, bins in (("simcc_x", 384), ("simcc_y", 512)):
        shape = helper.make_tensor(f"{name}_shape", TensorProto.INT64, [3], [1, 133, bins])
        nodes += [
            helper.make_node("Constant", [], [f"{name}_shape"], value=shape),
            helper.make_node("Expand", ["mean"], [f"{name}_row"], name=f"{name}_node"),
        ]
        nodes[-1].input.append(f"{name}_shape")
        nodes.append(helper.make_node("Sigmoid", [f"{name}_row"], [name]))
    outputs = [info("simcc_x", 1, 133, 384), info("simcc_y", 1, 133, 512)]
    graph = helper.make_graph(nodes, "small", [info("input", 1, 3, 256, 192)], outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"author": "a test", "note": "text of the file"})
    onnx.checker.check_model(model)
    yield Sample("network.onnx", model.SerializeToString())


def _read_network(path: Path) -> object:
    from dwpose_infer.pipeline import detector_options, open_pipeline
    from dwpose_infer.runtime import Runtime

    runtime = Runtime(backend="ort", threads=1)
    box = [np.array([[0, 0, 32, 32]], np.float32)]
    with open_pipeline(str(path), None, runtime, detector_options(None)) as pipeline:
        return pipeline.predict([np.zeros((32, 32, 3), np.uint8)], box)


def _video_samples(folder: Path) -> Iterator[Sample]:
    from video_samples import make_clip

    for name in ("clip.mp4", "clip.mkv"):
        make_clip(folder / name, pts=list(range(0, 12 * 3003, 3003)), size_wh=(64, 48))
        yield Sample(name, (folder / name).read_bytes())


def _read_video(path: Path) -> object:
    from dwpose_infer.media import open_source

    with open_source(path) as source:
        return sum(1 for _ in source)


READERS: dict[str, Reader] = {
    "pictures": Reader(_picture_samples, _read_picture, 34),
    "PIL pictures": Reader(_picture_samples, _read_lazy_picture, 8),
    "pose files": Reader(_pose_file_samples, _read_pose_file, 20),
    "frame logs": Reader(_frame_log_samples, _read_frame_log, 6),
    "annotations": Reader(_annotation_samples, _read_annotations, 6),
    "COCO results": Reader(_results_samples, _read_results, 5),
    "documents": Reader(_document_samples, _read_document, 6),
    "settings": Reader(_settings_samples, _read_settings, 4),
    "checkpoints": Reader(_checkpoint_samples, _read_checkpoint, 6),
    "networks": Reader(_network_samples, _read_network, 4),
    "videos": Reader(_video_samples, _read_video, 1),
}
"""Name -> reader."""
