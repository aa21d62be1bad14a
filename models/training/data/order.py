"""Which samples each step of an epoch takes, and which of them each process.

The order depends on seed and epoch alone. A step's samples are cut from it first and dealt to
the processes after, so that any number of processes together takes the same samples per step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ....arrays import Int64Array
from ....errors import InvalidArgumentError
from .dataset import SampleKey


@dataclass(frozen=True, slots=True, eq=False)
class EpochOrder:
    """The order of the samples in every epoch.

    Attributes:
        source_indices: (P,) each person's source.
        repeats: How often an epoch has each person of a source, by source. The fraction picks
            other persons in every epoch.
        batch_size: Samples per step over all processes.
        seed: Seed of the run.
        rank: Number of this process.
        world_size: Number of processes.
        drop_last: Leave out the samples that do not fill the last step. Otherwise that step is
            smaller, and filled up with the epoch's first samples until every process has equally
            many, as mmengine's `DefaultSampler` does.
    """

    source_indices: npt.NDArray[np.int16]
    repeats: Sequence[float]
    batch_size: int
    seed: int
    rank: int = 0
    world_size: int = 1
    drop_last: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise InvalidArgumentError(f"rank is {self.rank} of {self.world_size}")
        if self.batch_size < 1 or self.batch_size % self.world_size:
            raise InvalidArgumentError(
                f"batch_size is {self.batch_size}; it must be a multiple of the "
                f"{self.world_size} processes"
            )
        if self.steps == 0:
            raise InvalidArgumentError(
                f"{self.samples} samples do not fill one batch of {self.batch_size}; "
                "make it smaller, or allow a smaller last one"
            )

    @property
    def samples(self) -> int:
        """Samples of an epoch, the last, incomplete step included."""
        counts = np.bincount(self.source_indices, minlength=len(self.repeats))
        return sum(
            int(repeats) * int(count) + round(repeats % 1 * int(count))
            for repeats, count in zip(self.repeats, counts, strict=True)
        )

    @property
    def steps(self) -> int:
        """Steps of an epoch, the same for every process."""
        full, rest = divmod(self.samples, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def batches(self, epoch: int, *, start_step: int = 0) -> Iterator[list[SampleKey]]:
        """Yields this process's samples of each step.

        Args:
            epoch: Epoch, from 0.
            start_step: Step to begin at, from 0; those before are skipped at no cost.
        """
        persons, occurrences = self._order(epoch)
        for step in range(start_step, self.steps):
            places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
            if step == self.steps - 1 and places[-1] >= len(persons):
                whole = -(-(len(persons) - places[0]) // self.world_size) * self.world_size
                places = places[:whole] % len(persons)
            mine = places[self.rank :: self.world_size]
            yield [
                SampleKey(self.seed, epoch, person, occurrence)
                for person, occurrence in zip(
                    persons[mine].tolist(), occurrences[mine].tolist(), strict=True
                )
            ]

    def _order(self, epoch: int) -> tuple[Int64Array, Int64Array]:
        """Returns all persons of an epoch, shuffled, and how often each came before."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch,)))
        persons, occurrences = [], []
        for source, repeats in enumerate(self.repeats):
            members = np.flatnonzero(self.source_indices == source)
            for occurrence in range(int(repeats)):
                persons.append(members)
                occurrences.append(np.full(len(members), occurrence))
            some = rng.permutation(members)[: round(repeats % 1 * len(members))]
            persons.append(some)
            occurrences.append(np.full(len(some), int(repeats)))
        shuffled = rng.permutation(sum(map(len, persons)))
        return np.concatenate(persons)[shuffled], np.concatenate(occurrences)[shuffled]
