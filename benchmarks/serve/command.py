"""The command `dwpose-bench serve`."""

from __future__ import annotations

from dataclasses import dataclass

from ..benchmark import Benchmark, option
from ..network_options import NetworkSettings

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


@dataclass(frozen=True, kw_only=True)
class ServeSettings(NetworkSettings):
    """What is served, and who asks."""

    clients: int = option(
        "--clients", type=int, default=16, metavar="N", help="clients at once (default: 16)"
    )
    requests: int = option(
        "--requests",
        type=int,
        default=160,
        metavar="N",
        help="requests of a round, by one client and by all alike (default: 160)",
    )
    rounds: int = option(
        "--rounds", type=int, default=3, metavar="N", help="rounds, in turn (default: 3)"
    )


BENCHMARK = Benchmark(
    description=_DESCRIPTION,
    epilog=_EPILOG,
    settings=ServeSettings,
    module=f"{__package__}.serve",
)
