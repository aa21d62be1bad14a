"""The movements of a clip with the limb lengths, and at the place, of another person."""

from __future__ import annotations

from .retarget import Align, Proportions, Retargeting, retarget

__all__ = ["Align", "Proportions", "Retargeting", "retarget"]
