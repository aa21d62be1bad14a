from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.models.training.data import encode_batch
from dwpose_infer.models.training.pose.heatmaps import MapSupervision, map_targets
from dwpose_infer.models.training.settings import CodecSettings

WIDTH, HEIGHT = 96, 128


def gaussians(points_xy):
    """Targets of one sample whose points are all labelled."""
    keypoints = torch.tensor(points_xy, dtype=torch.float32)[None]
    return encode_batch(
        keypoints,
        torch.ones(keypoints.shape[:2]),
        input_size_wh=(WIDTH, HEIGHT),
        codec=CodecSettings(sigma_xy=(3.0, 3.4)),
    )


@pytest.mark.parametrize("cell_yx", [(0, 0), (3, 2), (7, 5), (7, 0)])
def test_a_point_in_the_middle_of_a_cell_is_in_that_cell(cell_yx):
    row, column = cell_yx
    targets = gaussians([[16 * column + 8.0, 16 * row + 8.0]])
    shares = map_targets(targets.x, targets.y, height=8, width=6)[0, 0].numpy().reshape(8, 6)
    assert np.unravel_index(shares.argmax(), shares.shape) == cell_yx
    assert shares[cell_yx] > 0.98  # sigma 1.5 px in cells of 16 px
    assert shares.sum() == pytest.approx(1, abs=1e-6)


def test_a_point_on_a_seam_is_in_both_cells():
    targets = gaussians([[48.0, 40.0]])
    shares = map_targets(targets.x, targets.y, height=8, width=6)[0, 0].numpy().reshape(8, 6)
    assert shares[2, 2] == pytest.approx(shares[2, 3], abs=0.2)
    assert shares[2, 2:4].sum() > 0.98


def test_a_point_far_outside_has_a_flat_map():
    targets = gaussians([[-500.0, 20.0]])
    shares = map_targets(targets.x, targets.y, height=8, width=6)
    assert torch.allclose(shares, torch.full_like(shares, 1 / 48))


@pytest.fixture
def supervision():
    torch.manual_seed(0)
    return MapSupervision((5, 7), 3)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    features = [
        torch.randn(2, channels, 2 * side, side, generator=generator)
        for channels, side in ((5, 4), (7, 2))
    ]
    targets = [torch.rand(2, 3, bins, generator=generator) for bins in (24, 40)]
    return features, *targets, torch.tensor([[1.0, 0.5, 0.0], [0.0, 2.0, 1.0]])


def test_the_loss_is_the_divergence_worked_out_by_hand(supervision, batch):
    features, targets_x, targets_y, weights = batch
    expected = 0.0
    for convolution, stage in zip(supervision.maps, features, strict=True):
        logits = convolution(stage).detach().double().numpy()
        _, _, rows, columns = logits.shape
        for sample, point in np.ndindex(2, 3):
            along_x = targets_x[sample, point].double().numpy().reshape(columns, -1).mean(1)
            along_y = targets_y[sample, point].double().numpy().reshape(rows, -1).mean(1)
            wanted = np.outer(along_y, along_x) + 1e-6
            wanted /= wanted.sum()
            shares = np.exp(logits[sample, point])
            shares /= shares.sum()
            divergence = (wanted * np.log(wanted / shares)).sum()
            expected += divergence * float(weights[sample, point]) / 3 / 32
    loss = supervision(features, targets_x, targets_y, weights)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_points_that_do_not_count_have_no_gradient(supervision, batch):
    features, targets_x, targets_y, weights = batch
    weights = weights * torch.tensor([1.0, 0.0, 1.0])
    supervision(features, targets_x, targets_y, weights).backward()
    for convolution in supervision.maps:
        lengths = convolution.weight.grad.flatten(1).norm(dim=1)
        assert lengths[1] == 0
        assert (lengths[[0, 2]] > 1e-4).all()


def test_learning_the_maps_brings_the_loss_near_zero(batch):
    """A stage that sees the cells one by one can say anything about them."""
    torch.manual_seed(2)
    targets = gaussians([[10.0, 20.0], [50.0, 70.0], [90.0, 120.0]])
    features = torch.eye(48).reshape(1, 48, 8, 6)
    supervision = MapSupervision((48,), 3)
    optimizer = torch.optim.Adam(supervision.parameters(), lr=0.3)
    for _ in range(150):
        optimizer.zero_grad()
        loss = supervision([features], targets.x, targets.y, targets.weights)
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-4
    shares = supervision.maps[0](features).flatten(2).softmax(dim=-1)
    wanted = map_targets(targets.x, targets.y, height=8, width=6)
    assert (shares - wanted).abs().max() < 0.02
