"""Every example in a docstring runs and prints what it says."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys

import pytest

import avnb

MODULES = sorted(m.name for m in pkgutil.walk_packages(avnb.__path__, "avnb.") if "checkpoints" not in m.name)
KINDS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"avnb": avnb}, optionflags=KINDS)
    assert result.failed == 0


PUBLIC = [
    (f"{name}.{key}", value)
    for name in MODULES
    if ".toybox" not in name
    for key, value in vars(importlib.import_module(name)).items()
    if inspect.isfunction(value) and value.__module__ == name and not key.startswith("_")
]


@pytest.mark.parametrize(("name", "function"), PUBLIC, ids=[name for name, _ in PUBLIC])
def test_documented_arguments_are_those_of_the_signature(name, function):
    """Lines such as `clips, seed: as in ...` document several at once, which no linter reads."""
    section = re.search(r"\n    Args:\n((?: {8}.*\n|\n)+)", inspect.getsource(function))
    if section is None or "As in `" in section[1]:
        return
    documented = {
        argument.strip("* ")
        for line in re.findall(r"(?m)^ {8}(?:[^ ].*?[^:], )?\S.*$", section[1])
        for names in re.findall(r"(?:^ {8}|; )((?:\*{0,2}\w+, )*\*{0,2}\w+): ", line)
        for argument in names.split(", ")
    }
    assert documented == set(inspect.signature(function).parameters)


def test_import_is_light():
    code = "import sys, avnb, avnb.cli, avnb.plots, avnb.study; print({'torch', 'transformers'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_the_face_shows_every_public_name():
    stub = ast.parse(inspect.getsource(avnb)).body
    seen = {alias.name for node in stub if isinstance(node, ast.If) for one in node.body for alias in one.names}
    assert seen <= set(dir(avnb)) and all(getattr(avnb, name) is not None for name in dir(avnb))
    for name in ("attention.shares", "lens.decode", "knockout.sweep", "tokens.shift", "judge.score", "datasets.load"):
        assert callable(getattr(getattr(avnb, name.split(".")[0]), name.split(".")[1]))
