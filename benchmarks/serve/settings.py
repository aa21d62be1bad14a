"""What `dwpose-bench serve` is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from ..benchmark import option
from ..network_options import NetworkSettings


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
