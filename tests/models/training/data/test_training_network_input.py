from __future__ import annotations

import numpy as np
import pytest
import torch

from dwpose_infer.models.training.data import to_network_input
from tolerances import NORMALISED


@pytest.mark.parametrize("channels_last", [False, True])
def test_input_is_normalised_rgb(rng, channels_last):
    crops = rng.integers(0, 256, (3, 8, 6, 3), np.uint8)
    found = to_network_input(torch.from_numpy(crops), channels_last=channels_last)
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    expected = ((crops[..., ::-1] - mean) / std).transpose(0, 3, 1, 2)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=NORMALISED)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert found.is_contiguous(memory_format=layout)


def test_crops_are_not_changed(rng):
    crops = torch.from_numpy(rng.integers(0, 256, (1, 4, 4, 3), np.uint8))
    before = crops.clone()
    to_network_input(crops)
    assert torch.equal(crops, before)
