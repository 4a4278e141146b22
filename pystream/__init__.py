"""An embeddable stream-processing engine: Arrow in, event-time windows, Arrow out."""

from pystream._native.core import version as _version

__version__ = _version()

__all__ = ["__version__"]
