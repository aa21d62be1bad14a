"""The entries of the manifest."""

from __future__ import annotations

import json
import re

import pytest

from dwpose_infer import zoo
from dwpose_infer.zoo.places import package_file


def test_the_manifest_lists_the_promised_models():
    sizes = ("nano", "tiny", "s", "m", "l", "x")
    assert [spec.name for spec in zoo.list_models("pose")] == [
        "dwpose-s-bundled",
        "dwpose-t-bundled",
        *(f"dwpose-{size}" for size in ("t", "s", "m", "l", "l-384")),
    ]
    assert [spec.name for spec in zoo.list_models("detector")] == [
        "yolox-nano-person-bundled",
        *(f"yolox-{size}" for size in sizes),
        *(f"yolox-{size}-humanart" for size in sizes),
    ]
    assert len(zoo.list_models()) == 20


def test_no_name_is_given_twice():
    text = package_file("zoo", "manifest.json").read_text(encoding="utf-8")
    names = [entry["name"] for entry in json.loads(text)["models"]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("spec", zoo.list_models(), ids=lambda spec: spec.name)
def test_each_entry_of_the_manifest_is_sound(spec):
    assert spec.kind in ("pose", "detector")
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", spec.name)
    assert spec.description and "\n" not in spec.description
    assert spec.licence == "Apache-2.0"
    assert re.search("training sets? .*(have|has) terms of (their|its) own", spec.licence_note)
    assert spec.size_bytes is None or 1_000_000 < spec.size_bytes < 500_000_000
    assert spec.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", spec.sha256)
    assert spec.score_threshold is None or 0 < spec.score_threshold < 1
    assert all(url.startswith("https://") and " " not in url for url in spec.urls)
    assert len(set(spec.urls)) == len(spec.urls)
    for url in spec.urls:  # what a branch's name leads to can change
        assert "huggingface.co" not in url or re.search("/resolve/[0-9a-f]{40}/", url)
    assert (spec.bundled_file is None) == bool(spec.urls)
    zips = {url.endswith(".zip") for url in spec.urls}
    assert zips in ([set()] if spec.bundled_file else [{spec.archive_member is not None}])
    if spec.accuracy is not None:
        assert 20 < spec.accuracy.ap < 80
        assert spec.accuracy.metric and spec.accuracy.source.startswith("https://")
    height, width = spec.input_hw
    assert height % 32 == width % 32 == 0
    assert (height > width) if spec.kind == "pose" else (height == width)


def test_a_size_in_the_manifest_never_stands_without_a_hash():
    assert all(spec.sha256 for spec in zoo.list_models() if spec.size_bytes)


def test_published_figures_of_the_official_models():
    large = zoo.get_spec("dwpose-l-384")
    assert large.input_hw == (384, 288)
    assert large.size_bytes == 134_399_116
    assert large.sha256.startswith("724f4ff2439e")
    assert (large.accuracy.ap, large.accuracy.ar) == (66.5, 74.3)
    detector = zoo.get_spec("yolox-l")
    assert (detector.size_bytes, detector.sha256[:8]) == (216_746_733, "7860ae79")
    assert [zoo.get_spec(f"yolox-{size}").accuracy.ap for size in ("nano", "m", "x")] == [
        25.8,
        46.9,
        51.1,
    ]
