"""How a module of the tests is run as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["python_with"]

_ROOT = Path(__file__).parents[2]


def python_with(module: str, *arguments: str) -> list[str]:
    """A command that calls `main` of a module of the tests.

    An installed pystream goes before the one beside the tests.
    """
    code = f"import sys; sys.path.append({str(_ROOT)!r}); from {module} import main; main()"
    return [sys.executable, "-c", code, *arguments]
