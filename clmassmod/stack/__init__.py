"""Stacks of clusters: their mean, their mean scaled by NFW predictions, and what can be fitted to it."""

from clmassmod.stack.mean import (
    Prediction,
    Stack,
    StackDetails,
    nfw_prediction,
    stack_delta_sigma,
    stack_scaled,
)
from clmassmod.stack.model import MemberModel, member_model, stacked_profile

__all__ = [
    "MemberModel",
    "Prediction",
    "Stack",
    "StackDetails",
    "member_model",
    "nfw_prediction",
    "stack_delta_sigma",
    "stack_scaled",
    "stacked_profile",
]
