from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.errors import ModelFormatError
from dwpose_infer.models.checkpoints import load_weights
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.training.pose.pretrained import CLASSIFIERS, MAP_READER, resize_input
from dwpose_infer.models.yolox import YOLOX, YOLOXArchitecture
from tolerances import RESIZED

SMALL = DWPoseArchitecture("t", 128, 96)
LARGE = DWPoseArchitecture("t", 256, 192)


def network(architecture):
    torch.manual_seed(3)
    return DWPose(architecture).eval()


def resized(model, architecture):
    other = DWPose(architecture).eval()
    load_weights(other, resize_input(model.state_dict(), architecture))
    return other


def test_maps_that_only_grew_give_the_same_tokens():
    small = network(SMALL)
    large = resized(small, LARGE)
    flat = torch.randn(2, 133, 1, 1)
    with torch.no_grad():
        before = small.head.mlp(flat.expand(-1, -1, 4, 3).flatten(2))
        after = large.head.mlp(flat.expand(-1, -1, 8, 6).flatten(2))
    torch.testing.assert_close(after, before, rtol=RESIZED, atol=RESIZED)


def test_a_gradient_over_the_map_is_read_as_before_within_its_coarser_steps():
    """Weights that are a plane over the map stay one: its slope over the map is the same."""
    small = network(SMALL)
    columns = torch.linspace(-1, 1, 3).expand(4, 3).flatten()
    small.head.mlp[1].weight.data[:] = columns
    weight = resized(small, LARGE).head.mlp[1].weight.detach()[0].reshape(8, 6) * 4
    inner = weight[:, 1:-1]
    torch.testing.assert_close(inner, torch.tensor([-0.75, -0.25, 0.25, 0.75]).expand(8, 4))


def test_new_bins_lie_between_old_ones():
    small = network(SMALL)
    rows = torch.arange(192.0)[:, None].expand(192, 256).clone()
    small.head.cls_x.weight.data = rows
    new = resized(small, LARGE).head.cls_x.weight.detach()
    assert new.shape == (384, 256)
    # A row's place is its middle: new row i lies at (i + 0.5) / 2 - 0.5 of the old.
    expected = (torch.arange(384.0) + 0.5) / 2 - 0.5
    torch.testing.assert_close(new[:, 7], expected.clamp(0, 191))


def test_the_same_size_stays_bit_for_bit_and_only_the_head_ever_changes():
    state = network(SMALL).state_dict()
    same = resize_input(state, SMALL)
    assert all(torch.equal(same[name], value) for name, value in state.items())
    larger = resize_input(state, LARGE)
    touched = {name for name, value in state.items() if larger[name] is not value}
    assert touched == {MAP_READER, *CLASSIFIERS}


def test_down_and_up_again_keeps_smooth_weights():
    large = network(LARGE)
    slope = torch.linspace(0, 1, 512)[:, None].expand(512, 256).clone()
    large.head.cls_y.weight.data = slope
    back = resized(resized(large, SMALL), LARGE).head.cls_y.weight.detach()
    inner = slice(4, -4)
    torch.testing.assert_close(back[inner], slope[inner], rtol=0, atol=1 / 512)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (lambda: DWPose(SMALL).state_dict(), DWPoseArchitecture("s", 256, 192)),
        (lambda: DWPose(SMALL).state_dict(), DWPoseArchitecture("t", 256, 192, keypoints=17)),
        (lambda: YOLOX(YOLOXArchitecture("nano", 1)).state_dict(), LARGE),
    ],
    ids=["size", "points", "detector"],
)
def test_another_network_is_refused_by_name(state, wanted):
    with pytest.raises(ModelFormatError, match=f"cannot become {wanted.name}"):
        resize_input(state(), wanted)
