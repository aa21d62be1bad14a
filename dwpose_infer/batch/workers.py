"""How many workers there are, and what each of them gets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InvalidArgumentError, needs_extra


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Actors, each with networks of its own.

    Attributes:
        count: How many; None for as many as the CPUs, or the GPUs, are enough for.
        cpus: CPUs of each, which are threads of its networks too.
        gpus: GPUs of each, such as 0.25; its networks run on it then.
    """

    count: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise InvalidArgumentError(f"count is {self.count}, must be above 0")
        if not (0 < self.cpus < math.inf and 0 <= self.gpus < math.inf):
            raise InvalidArgumentError(
                f"a worker gets {self.cpus} CPUs and {self.gpus} GPUs: impossible"
            )
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise InvalidArgumentError(f"{self.gpus} GPUs of a worker: above 1 they are whole")

    def fitted(self, resources: Mapping[str, float], *, tasks: int) -> Workers:
        """Returns how many there are on a cluster.

        Args:
            resources: What the cluster has, "CPU" and "GPU" among it.
            tasks: There are no more workers than these.

        Raises:
            InvalidArgumentError: It has not enough for them, and they would wait for ever.
        """
        needs = {"CPU": self.cpus, "GPU": self.gpus}
        # Fractions of a GPU do not add up across GPUs, nor do CPUs across nodes: Ray places them.
        room = min(
            int(resources.get(name, 0) / need + 1e-6) for name, need in needs.items() if need > 0
        )
        if room < (self.count or 1):
            has = ", ".join(f"{resources.get(name, 0):g} {name}s" for name in needs)
            raise InvalidArgumentError(
                f"{self.count or 1} workers of {self.cpus:g} CPUs and {self.gpus:g} GPUs: there "
                f"are {has}"
            )
        return replace(self, count=max(1, min(self.count or room, tasks)))

    def pool(self) -> Any:
        """Returns the pool of actors in the words of Ray Data."""
        from ray.data import ActorPoolStrategy

        return ActorPoolStrategy() if self.count is None else ActorPoolStrategy(size=self.count)

    def predictor_options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options of a worker's `Predictor`: its threads, its GPU, where not given."""
        own: dict[str, Any] = {"threads": max(1, int(self.cpus))}
        if self.gpus:
            own["device"] = "cuda"
        return own | {name: value for name, value in given.items() if value is not None}


def import_ray() -> Any:
    """Returns Ray; raises `MissingDependencyError` where it is not installed."""
    with needs_extra("data sets need Ray", "ray"):
        import ray
        import ray.data
    return ray
