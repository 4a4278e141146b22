"""Each stub of a compiled module names what the module has: no more, no less, same parameters."""

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType

import pytest

STUBS = sorted((Path(__file__).parents[2] / "pystream/_native").glob("*.pyi"))


def stub_names(body: list[ast.stmt]) -> dict[str, ast.stmt]:
    """Public names that a stub defines, with their definition; overloads and setters once."""
    names: dict[str, ast.stmt] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.setdefault(node.name, node)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names[node.target.id] = node
    return {name: node for name, node in names.items() if not name.startswith("_")}


def built_names(owner: object, module: ModuleType) -> set[str]:
    names = set()
    for name, value in vars(owner).items():
        imported = getattr(value, "__module__", module.__name__) not in {module.__name__, None}
        if not name.startswith("_") and not inspect.ismodule(value) and not imported:
            names.add(name)
    return names


def parameters(node: ast.FunctionDef) -> list[str]:
    given = node.args
    named = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    return [argument.arg for argument in named if argument is not None]


def differences(where: str, body: list[ast.stmt], owner: object, module: ModuleType) -> list[str]:
    stub = stub_names(body)
    built = built_names(owner, module)
    found = [f"{where}.{name} is built but not in the stub" for name in sorted(built - set(stub))]
    for name, node in stub.items():
        value = inspect.getattr_static(owner, name, None)
        if value is None:
            found.append(f"{where}.{name} is in the stub but not built")
        elif isinstance(node, ast.ClassDef):
            found += differences(f"{where}.{name}", node.body, value, module)
        elif isinstance(node, ast.FunctionDef) and callable(getattr(owner, name)):
            plain = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            try:
                real = list(inspect.signature(plain).parameters)
            except (TypeError, ValueError):
                continue
            if real != parameters(node):
                found.append(f"{where}.{name} takes {real}, the stub says {parameters(node)}")
    return found


@pytest.mark.parametrize("path", STUBS, ids=lambda path: path.stem)
def test_stub_agrees_with_the_built_module(path):
    module = importlib.import_module(f"pystream._native.{path.stem}")
    found = differences(path.stem, ast.parse(path.read_text()).body, module, module)
    assert not found, "\n" + "\n".join(found)


def test_a_wrong_stub_is_refused():
    module = importlib.import_module("pystream._native.core")
    stub = "def missing() -> int: ...\ndef version(extra: int) -> str: ..."
    found = differences("core", ast.parse(stub).body, module, module)
    assert any("missing" in line for line in found)
    assert any("extra" in line for line in found)
