"""Which environment variables a function reads: `os.environ["X"]` in its file and in all of the shop that it uses.

Found in the source, name by name: a module's own functions count only if something that is used names them, so a
variable that one adapter's other half reads is not asked of everyone who imports the module.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.template.cloudformation import PROJECT

_LAYER = PROJECT / "layers" / "cardshop"
FUNCTIONS = sorted((PROJECT / "functions").glob("*.py"))


def variables(function: Path) -> set[str]:
    found: set[str] = set()
    seen: set[tuple[Path, str]] = set()
    todo = [(function, name) for name in _definitions(function)] + [(function, "")]
    while todo:
        path, name = todo.pop()
        if (path, name) in seen:
            continue
        seen.add((path, name))
        todo.append((path, ""))  # what the module does when it is imported
        for node in _definitions(path).get(name, []):
            found |= _read(node)
            for used, attribute in _uses(node):
                if used in _definitions(path):
                    todo.append((path, used))
                if used in _imports(path):
                    module, inside = _imports(path)[used]
                    todo.append((module, inside or attribute))
    return found


def packages(function: Path) -> set[str]:
    """The third-party and standard packages that this function imports, its own and the shop's.

    Payment providers are imported by their names, when a channel needs one: whoever can, needs what any of them does.
    """
    found: set[str] = set()
    seen: set[Path] = set()
    todo = [function]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
                modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                if node.module.split(".")[0] == "cardshop":
                    todo += [each for each in map(_file, modules) if each is not None]
                if node.module == "cardshop.adapters.payments":
                    todo += (_LAYER / "cardshop/adapters/payments").glob("*.py")
    return found


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _definitions(path: Path) -> dict[str, list[ast.stmt]]:
    """What defines each name at the top of this module; under "" whatever runs when it is imported."""
    found: dict[str, list[ast.stmt]] = {"": []}
    for statement in _tree(path).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found.setdefault(statement.name, []).append(statement)
        elif not isinstance(statement, ast.Import | ast.ImportFrom):
            found[""].append(statement)
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    found.setdefault(node.id, []).append(statement)
    return found


@cache
def _imports(path: Path) -> dict[str, tuple[Path, str]]:
    """Names of the shop's own that this module imports, at the top or inside: where each is defined."""
    found: dict[str, tuple[Path, str]] = {}
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "cardshop":
            for alias in node.names:
                module = _file(f"{node.module}.{alias.name}")
                where = (module, "") if module else (_file(node.module), alias.name)
                assert where[0] is not None, f"{path.name} imports {node.module}"
                found[alias.asname or alias.name] = (where[0], where[1])
    return found


def _file(module: str) -> Path | None:
    path = _LAYER / module.replace(".", "/")
    for each in (path.with_suffix(".py"), path / "__init__.py"):
        if each.exists():
            return each
    return None


def _uses(node: ast.AST) -> set[tuple[str, str]]:
    """Every name in it, with the attribute that is taken of it or ""."""
    bare = {(each.id, "") for each in ast.walk(node) if isinstance(each, ast.Name)}
    return bare | {
        (each.value.id, each.attr)
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name)
    }


def _read(node: ast.AST) -> set[str]:
    return {
        each.slice.value
        for each in ast.walk(node)
        if isinstance(each, ast.Subscript)
        and isinstance(each.value, ast.Attribute)
        and each.value.attr == "environ"
        and isinstance(each.slice, ast.Constant)
        and isinstance(each.slice.value, str)
    }
