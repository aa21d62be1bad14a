"""The networks in PyTorch, and the reading of their published checkpoints.

Nothing is imported here, so that looking into the package does not load torch:

    from dwpose_infer.models.checkpoints import load_model
    from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
    from dwpose_infer.models.yolox import YOLOX, YOLOXArchitecture
"""
