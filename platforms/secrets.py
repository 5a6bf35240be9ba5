"""The platforms' door to secrets."""

from trust.references import resolve

__all__ = ["resolve"]
