"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import avnb

MODULES = sorted(m.name for m in pkgutil.walk_packages(avnb.__path__, "avnb.") if "checkpoints" not in m.name)
KINDS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"avnb": avnb}, optionflags=KINDS)
    assert result.failed == 0
