"""What is known about a TensorRT engine: a JSON file beside it.

An engine's file says nothing about itself until TensorRT has loaded it, and TensorRT loads only
what was built by the same version for the same kind of GPU (TensorRT for RTX: for several kinds).
So `pose.engine` is accompanied by `pose.engine.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ..._version import __version__
from ...errors import FormatError, InputError, InvalidArgumentError, ModelFormatError
from ...files.document import read_document, write_document
from .products import ANY_GPU, CAPABILITIES, FROM_AMPERE, Product, ProductKey

DEFAULT_MAX_BATCH = 16
"""As `dwpose_infer.estimator.DEFAULT_MAX_BATCH`: persons in one call of the pose network."""

EnginePrecision = Literal["fp16", "fp32"]
"""fp16 computes in half precision where it is safe (see `dwpose_infer.export.fp16`)."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How an engine is to be built.

    Attributes:
        precision: "fp16" (half precision where it is safe) or "fp32".
        max_batch: Largest batch the engine takes; every batch from 1 on is taken.
        opt_batch: Batch that TensorRT tunes it for.
        workspace_mib: Memory its steps may use besides the tensors, in MiB; None leaves it to
            TensorRT, which then allows all of the GPU's memory.
        capabilities: Compute capabilities that TensorRT for RTX builds it for, of `CAPABILITIES`;
            none takes that of the GPU. TensorRT builds for the very GPU always.
    """

    precision: EnginePrecision = "fp16"
    max_batch: int = DEFAULT_MAX_BATCH
    opt_batch: int = 1
    workspace_mib: int | None = None
    capabilities: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.precision not in get_args(EnginePrecision):
            raise InvalidArgumentError(
                f"unknown precision {self.precision!r} of an engine; the precisions are "
                f"{', '.join(get_args(EnginePrecision))}"
            )
        if not 1 <= self.opt_batch <= self.max_batch:
            raise InvalidArgumentError(
                f"an engine for batches of 1 to {self.max_batch} cannot be tuned for batches of "
                f"{self.opt_batch}"
            )
        if self.workspace_mib is not None and self.workspace_mib < 1:
            raise InvalidArgumentError(f"workspace_mib is {self.workspace_mib}, must be at least 1")
        for capability in self.capabilities:
            if capability not in CAPABILITIES:
                raise InvalidArgumentError(
                    f"no engine can be built for compute capability {capability!r}; known are "
                    f"{', '.join(CAPABILITIES)}"
                )
        if FROM_AMPERE in self.capabilities and len(self.capabilities) > 1:
            raise InvalidArgumentError(
                f"{FROM_AMPERE} stands for a set and goes with no other compute capability; name "
                f"each one instead: {', '.join(CAPABILITIES[1:])}"
            )


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """What an engine was made from and for; two engines of one identity can stand in for another.

    Attributes:
        source_sha256: SHA-256 of the model's file, lower-case hex.
        precision: "fp16" or "fp32".
        opt_batch: Batch it was tuned for; the smallest one is 1.
        max_batch: Largest batch it takes.
        tensorrt_version: Version of `product`, such as "10.16.1.11".
        gpu_name: Name of the GPU, such as "NVIDIA L4"; "any GPU" for TensorRT for RTX.
        compute_capability: Its compute capability, such as "8.9"; for TensorRT for RTX all that it
            was built for, such as "8.0+" or "7.5, 8.6".
        package_version: Version of this package, whose exporter made the graph.
        product: The library that built it and can load it.
    """

    source_sha256: str
    precision: EnginePrecision
    opt_batch: int
    max_batch: int
    tensorrt_version: str
    gpu_name: str
    compute_capability: str
    package_version: str
    product: ProductKey = "tensorrt"

    @classmethod
    def of(
        cls,
        source_sha256: str,
        options: EngineOptions,
        *,
        product: Product,
        tensorrt_version: str,
        gpu_name: str = ANY_GPU,
        compute_capability: tuple[int, int] | None = None,
    ) -> EngineIdentity:
        """Identity of an engine that this version of the package builds.

        Args:
            source_sha256: SHA-256 of the model's file.
            options: How it is built. For TensorRT for RTX its capabilities say for what.
            product: What builds it.
            tensorrt_version: Version of that.
            gpu_name: For TensorRT, name of the GPU it is built on.
            compute_capability: For TensorRT, (major, minor) of that GPU.
        """
        if compute_capability is not None:
            capability = ".".join(map(str, compute_capability))
        else:
            capability = ", ".join(sorted(options.capabilities, key=CAPABILITIES.index))
        return cls(
            source_sha256=source_sha256,
            precision=options.precision,
            opt_batch=options.opt_batch,
            max_batch=options.max_batch,
            tensorrt_version=tensorrt_version,
            gpu_name=gpu_name,
            compute_capability=capability,
            package_version=__version__,
            product=product.key,
        )

    @property
    def place(self) -> str:
        """What it runs on, in words: "NVIDIA L4 (8.9)", "compute capability 7.5, 8.6"."""
        if self.gpu_name == ANY_GPU:
            return f"compute capability {self.compute_capability}"
        return f"{self.gpu_name} ({self.compute_capability})"

    def key(self) -> str:
        """A name for this identity: the first 32 hex digits of its SHA-256."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def differences(self, other: EngineIdentity) -> list[str]:
        """What another identity has instead, in words."""
        mine, others = asdict(self), asdict(other)
        return [
            f"{name.replace('_', ' ')} {others[name]} instead of {mine[name]}"
            for name in mine
            if mine[name] != others[name]
        ]


@dataclass(frozen=True, slots=True)
class EngineRecord:
    """Everything recorded about an engine.

    Attributes:
        schema_version: Version of this layout.
        identity: What it was made from and for.
        name: Name of the network.
        engine_sha256: SHA-256 of the engine's file, lower-case hex.
        size_bytes: Its size.
        workspace_mib: Workspace it was allowed while it was built, or None for no limit.
        built_at: When, UTC, ISO 8601.
        build_s: Seconds that TensorRT took.
        metadata: Key and value pairs that the ONNX graph carried.
        parity: What the comparison with ONNX Runtime measured.
        compared: What was compared: the "engine", or, where no GPU could run it, the "graph" that
            it was built from.
    """

    schema_version: Literal[1] = field(default=1, kw_only=True)
    identity: EngineIdentity
    name: str
    engine_sha256: str
    size_bytes: int
    workspace_mib: int | None
    built_at: str
    build_s: float
    metadata: Mapping[str, str] = field(default_factory=dict)
    parity: Mapping[str, Any] = field(default_factory=dict)
    compared: Literal["engine", "graph"] = "engine"


def record_path(engine_path: Path) -> Path:
    """Path of the record that belongs to an engine."""
    return engine_path.with_name(engine_path.name + ".json")


def write_record(engine_path: Path, record: EngineRecord) -> None:
    """Writes the record beside an engine, in place of any before.

    Raises:
        OutputError: It cannot be written.
    """
    write_document(record_path(engine_path), record)


def read_record(engine_path: Path) -> EngineRecord | None:
    """Reads the record beside an engine.

    Returns:
        The record, or None where there is none.

    Raises:
        ModelFormatError: It is unreadable, damaged or of another version.
    """
    path = record_path(engine_path)
    if not path.exists():
        return None
    try:
        return read_document(path, EngineRecord)
    except (InputError, FormatError) as error:
        raise ModelFormatError(str(error)) from error
