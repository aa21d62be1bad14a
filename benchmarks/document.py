"""What the results of all benchmarks have in common.

A benchmark describes its result as a subclass of `Document`, whose fields `schema_version` and
`benchmark` are literals with defaults:

    class LatencyDocument(Document, frozen=True, kw_only=True, forbid_unknown_fields=True):
        schema_version: Literal[1] = 1
        benchmark: Literal["latency"] = "latency"
        settings: Settings
        rows: tuple[Row, ...]
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from .machine import Environment


class Document(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every result begins with.

    Attributes:
        schema_version: Version of the layout of this benchmark's file.
        benchmark: Name of the benchmark.
        environment: The machine, its load and the versions.
    """

    schema_version: int
    benchmark: str
    environment: Environment


def json_schema(kind: type[msgspec.Struct]) -> str:
    """Returns the JSON Schema (2020-12) of a class of documents, indented."""
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **msgspec.json.schema(kind),
    }
    return json.dumps(schema, indent=2)
