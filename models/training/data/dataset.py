"""The training samples: a table of persons, their pictures and the random changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch.utils.data import Dataset

from ....arrays import Float32Array, UInt8Array
from ..settings.data import AugmentSettings
from .augment import training_crop
from .persons import Persons
from .pictures import Pictures


class SampleKey(NamedTuple):
    """Names one sample of one epoch; all that its random numbers depend on.

    Attributes:
        seed: Seed of the run.
        epoch: Epoch, from 0.
        person: Index in the table of persons.
        occurrence: How often this epoch has had this person before.
    """

    seed: int
    epoch: int
    person: int
    occurrence: int = 0


class Sample(NamedTuple):
    """One training sample.

    Attributes:
        crop: (height, width, 3) uint8, BGR.
        keypoints: (133, 2) float32, x then y, pixels of the crop.
        weights: (133,) float32, 1 for labelled points, below 0.5 for others.
        person: Index in the table of persons.
    """

    crop: UInt8Array
    keypoints: Float32Array
    weights: Float32Array
    person: int


class PoseDataset(Dataset[Sample]):
    """Training samples by `SampleKey`.

    A sample depends on its key alone, whichever process makes it and whatever was made before.

    Attributes:
        pictures: The pictures.
        persons: The table of persons.
        input_size_wh: (width, height) of the crops.
        augment: The random changes.
        epochs: Length of the run, which says when the last phase of the changes begins.
        unlabelled_weights: Weight of points without a label, by source; 0 for all by default.
    """

    def __init__(
        self,
        pictures: Pictures,
        *,
        input_size_wh: tuple[int, int],
        augment: AugmentSettings,
        epochs: int,
        unlabelled_weights: Sequence[float] | None = None,
    ) -> None:
        self.pictures = pictures
        self.persons: Persons = pictures.persons
        self.input_size_wh = input_size_wh
        self.augment = augment
        self.epochs = epochs
        sources = len(self.persons.reports)
        self.unlabelled_weights = np.asarray(unlabelled_weights or [0.0] * sources, np.float32)
        self._augment_at = (-1, augment)

    def __len__(self) -> int:
        return len(self.persons)

    def __getitem__(self, key: SampleKey) -> Sample:
        """Makes one sample.

        Raises:
            InputError: The picture cannot be read or has another size than its labels say.
        """
        person = key.person
        crop, keypoints, labelled = training_crop(
            self.pictures[self.persons.image_indices[person]],
            self.persons.keypoints[person],
            self.persons.labelled[person],
            self.persons.boxes_xyxy[person],
            input_size_wh=self.input_size_wh,
            settings=self._settings(key.epoch),
            rng=np.random.default_rng(key),
        )
        unlabelled = self.unlabelled_weights[self.persons.source_indices[person]]
        weights = np.where(labelled, np.float32(1), unlabelled)
        return Sample(crop, keypoints, weights, person)

    def _settings(self, epoch: int) -> AugmentSettings:
        """The settings of an epoch, kept for the next sample."""
        known, settings = self._augment_at
        if known != epoch:
            settings = self.augment.at_epoch(epoch, epochs=self.epochs)
            self._augment_at = (epoch, settings)
        return settings
