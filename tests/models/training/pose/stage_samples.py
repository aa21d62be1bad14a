"""Small networks and runs for the tests of the stages."""

from __future__ import annotations

import torch

from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.training.settings import DistillSettings, LossSettings, Settings

HEIGHT, WIDTH = 64, 32
EPOCHS = 10


def network(size, seed):
    """Makes a network that is surer of itself than fresh ones, whose outputs are nearly equal."""
    torch.manual_seed(seed)
    model = DWPose(DWPoseArchitecture(size, HEIGHT, WIDTH))
    with torch.no_grad():
        for layer in (model.head.final_layer, model.head.cls_x, model.head.cls_y):
            layer.weight.mul_(30)
    return model


def settings(*, stage=None, files=None, teacher_mode="train", **changes):
    distill = None
    if stage is not None:
        size = "s" if stage == 1 else "t"
        distill = DistillSettings(
            stage=stage,
            teacher_size=size,
            teacher_checkpoint=str(files / f"{size}.pth"),
            teacher_mode=teacher_mode,
            logit_weight=0.1 if stage == 1 else 1.0,
            decay=stage == 1,
        )
    return Settings(
        **{
            "name": "test",
            "size": "t",
            "input_height": HEIGHT,
            "input_width": WIDTH,
            "epochs": EPOCHS,
            "distill": distill,
            "loss": LossSettings(reference_samples=None),
            **changes,
        }
    )


def learnt_parameters(stage):
    return [parameter for parameter in stage.parameters() if parameter.requires_grad]
