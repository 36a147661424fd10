"""The code that a module of the package rests on: what a table, or a drawn clip, was made by.

>>> sorted(closure("avnb.media.clip"))
['avnb.errors', 'avnb.media.clip', 'avnb.media.reading']
"""

import ast
import hashlib
import io
import tokenize
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parent


def closure(*modules):
    """The modules of the package that these import, directly or not, wherever the import stands; themselves included.

    A package that is only passed through (`avnb.a` in `import avnb.a.b`) does not count.
    """
    left, found = list(modules), set()
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += _imported(name)
    return found


@cache
def code_hash(*modules):
    """A hash of the closure of modules, without comments and docstrings: an edit of prose does not change it.

    A JSON file beside a module, of the same name, is a part of it.

    Example:
        >>> code_hash("avnb.questions") == code_hash("avnb.questions") != code_hash("avnb.layers")
        True
    """
    total = hashlib.sha256()
    for name in sorted(closure(*modules)):
        file = _file(name)
        total.update(f"{name}\0{bare(file.read_text(encoding='utf8'))}\0".encode())
        if (data := file.with_suffix(".json")).is_file():
            total.update(data.read_bytes())
    return total.hexdigest()[:16]


def package_hash():
    """A hash of all code of the package, likewise."""
    files = sorted(_PACKAGE.rglob("*.py"))
    return code_hash(*(".".join(("avnb", *path.relative_to(_PACKAGE).with_suffix("").parts)) for path in files))


def bare(source):
    """Python code without comments, docstrings and empty lines; the same in every version of Python.

    Example:
        >>> bare('def f():  # why\\n    "What."\\n\\n    return 1')
        'def f():\\n    return 1'
    """
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str):
                lines[first.lineno - 1 : first.end_lineno] = [""] * (first.end_lineno - first.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _file(name):
    """The file of a module of the package, None if there is no such module."""
    path = _PACKAGE.joinpath(*name.removesuffix(".__init__").split(".")[1:])
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _imported(name):
    file, names = _file(name), set()
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            home = package.rsplit(".", node.level - 1)[0] if node.level else None
            home = ".".join(filter(None, (home, node.module)))
            asked = {f"{home}.{alias.name}" for alias in node.names}
            modules = {one for one in asked if one.startswith("avnb.") and _file(one)}
            names |= modules | ({home} if modules != asked else set())
    return {one for one in names if one.startswith("avnb.") and _file(one)}
