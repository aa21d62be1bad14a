"""What a backend says of itself; each module of a runtime makes one of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from .base import Backend
from .device import Device

Precision = Literal["auto", "fp32", "fp16", "bf16"]
"""What is calculated in; "auto" leaves it to the backend, which measures where it can choose."""
Provider = Literal["cpu", "cuda", "tensorrt", "tensorrt-rtx"]
"""What is behind a backend: ONNX Runtime has "cpu", "cuda" and "tensorrt", the backend "trt" the
libraries "tensorrt" and "tensorrt-rtx"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """Options of `load_backend` that not every backend takes.

    Attributes:
        provider: Execution provider of ONNX Runtime, which of the two TensorRT, or None.
        provider_options: Its options, in ONNX Runtime's own words.
        threads: CPU threads inside one operator, or None.
        precision: What is calculated in, or None.
        max_batch: Largest batch of one call that is prepared for, or None.
    """

    provider: Provider | None = None
    provider_options: Mapping[str, Any] = field(default_factory=dict)
    threads: int | None = None
    precision: Precision | None = None
    max_batch: int | None = None

    def given(self) -> dict[str, Any]:
        """Name -> value of the options that are given; `max_batch`, a hint, is not among them."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        del values["max_batch"]
        return {name: value for name, value in values.items() if value not in (None, {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendKind:
    """A backend, before there is a model.

    Attributes:
        name: Name by which `load_backend` and the commands know it.
        devices: Kinds of devices it runs on.
        default_device: The device where none is named.
        options: Names of the `LoadOptions` it takes.
        precisions: What it can be told to calculate in, beside "auto", which all know.
        providers: What it can be told to run with, where `options` has "provider".
        load: Loads a model's file on a device.
        check: Finds out whether it can be used at all, with the provider asked for or with its
            own choice, which costs little.
        probes: Devices that a report on the machine tries.
        probe: Tries it on one of them where loading a network is no way to, and tells in words on
            what it runs; None where it is.
        versions: What a report says of its packages and of what they need.
    """

    name: str
    devices: tuple[Literal["cpu", "cuda"], ...]
    default_device: str
    options: frozenset[str]
    precisions: tuple[Precision, ...]
    load: Callable[[Path, Device, LoadOptions], Backend]
    check: Callable[[Provider | None], None]
    probes: tuple[str, ...]
    providers: tuple[Provider, ...] = ()
    probe: Callable[[str], str] | None = None
    versions: Callable[[], dict[str, str]]
