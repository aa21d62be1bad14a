"""Both stages of distillation, the transfers, the export and a prediction as one job."""

from .job import DistillOptions, DistillSummary, distill
from .plan import DistillPlan, make_plan

__all__ = ["DistillOptions", "DistillPlan", "DistillSummary", "distill", "make_plan"]
