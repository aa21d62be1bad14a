"""The command `dwpose-bench serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..benchmark import Benchmark, Work
from .settings import ServeSettings

if TYPE_CHECKING:
    from .serve import ServeDocument

_DESCRIPTION = """\
dwpose-serve in a process of its own, on this machine's loopback: one client that asks again and
again, then many at once, in turn. LitServe, where it is installed, serves the same Predictor
beside it, with batches of as many pictures and the same wait for them. What HTTP, the queue and the
answer add is measured on networks that answer at once, beside the same work without HTTP.
"""

_EPILOG = """\
Every request is JSON with one JPEG (1280 x 720 pixels, one person) as base64, which both servers
take, every answer the result as JSON; connections are kept. What HTTP adds is that of requests
which are the picture's bytes. Needs pip install "dwpose-infer[bench,serve]"; for LitServe:
pip install litserve

examples:
  dwpose-bench serve
  dwpose-bench serve --clients 32 --requests 320 --json serve.json
"""


def _load() -> Work[ServeSettings, ServeDocument]:
    from .serve import ServeDocument, measure, report

    return Work(document=ServeDocument, measure=measure, report=report, table="serve")


SERVE = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=ServeSettings,
    load=_load,
)
