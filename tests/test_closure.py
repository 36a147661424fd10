"""What a table rests on: the code of its analysis, and nothing else."""

import shutil

import pytest

import avnb
from avnb import analyses, closure, study
from avnb.study.fingerprints import code_fingerprint


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package that can be edited, and is what fingerprints look at."""
    folder = shutil.copytree(closure._PACKAGE, tmp_path / "avnb", ignore=shutil.ignore_patterns("checkpoints"))
    monkeypatch.setattr(closure, "_PACKAGE", folder)
    forget()
    yield folder
    forget()


def forget():
    closure.code_hash.cache_clear()
    closure._imported.cache_clear()


def edit(package, file, old, new):
    path = package / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    forget()


def prints():
    return {name: code_fingerprint(name) for name in analyses.ANALYSES}


def test_a_docstring_a_comment_and_a_figure_change_nothing(package):
    before = prints()
    edit(package, "analyses/latent.py", '"""What a model knows inside', '"""Whatever a model knows inside')
    edit(package, "engine/branches.py", "import torch\n", "import torch  # the arrays\n\n")
    edit(package, "plots/lens.py", "import", "import os\nimport")
    edit(package, "cli/__init__.py", "import", "import os\nimport")
    assert prints() == before


def test_an_edit_of_an_analysis_is_its_own(package):
    before = prints()
    edit(package, "analyses/lens.py", "TOP_K, DEPTH = 3", "TOP_K, DEPTH = 4")
    assert {name for name, value in prints().items() if value != before[name]} == {"lens"}


def test_judges_that_are_loaded_by_name_belong_to_those_who_judge_and_so_do_their_prompts(package):
    for file, old, new in (
        ("judge/by_words.py", "_ALIKE = 0.7", "_ALIKE = 0.8"),
        ("judge/by_model.py", "_MAX_TOKENS = 1024", "_MAX_TOKENS = 512"),
        ("judge/by_model.json", "You compare", "Please compare"),
    ):
        before = prints()
        edit(package, file, old, new)
        changed = {name for name, value in prints().items() if value != before[name]}
        assert changed == {"fidelity", "knockout", "lens", "tokens"}


def test_an_edit_of_the_engine_is_everybodys_who_runs_it(package):
    before = prints()
    edit(package, "engine/masks.py", 'float("-inf")', "-1e9")
    changed = {name for name, value in prints().items() if value != before[name]}
    assert changed == {"fidelity", "swap", "attention", "lens", "knockout", "tokens", "questions"}


def test_a_table_outlives_prose_but_not_the_engine(package, tmp_path, toybox_clips, monkeypatch):
    model, asked = avnb.load("toy-omni"), []
    real = type(model).prompt
    monkeypatch.setattr(type(model), "prompt", lambda self, *a, **k: asked.append(1) or real(self, *a, **k))

    def measure():
        asked.clear()
        study.measure("attention", model, toybox_clips[:1], dataset="x", out=tmp_path / "out", max_new_tokens=2)
        return len(asked)

    assert measure() == 1
    edit(package, "analyses/tokens.py", '"""How far every token', '"""By how much every token')
    assert measure() == 0
    edit(package, "engine/capture.py", "import torch\n", "import torch\n\nX = 1\n")
    assert measure() == 1


def test_every_file_of_the_package_is_understood():
    assert len(closure.package_hash()) == 16
    assert "avnb.engine.prefix" in closure.closure("avnb.analyses.knockout")
    assert not {name.split(".")[1] for name in closure.closure("avnb.analyses.knockout")} & {"plots", "study", "cli"}


def test_code_without_prose():
    source = '"""Doc."""\n# why\nclass A:\n    """Doc."""\n\n    x = "#no"  # yes\n\n\n'
    source += 'async def f():\n    "d"\n    return 1\n'
    assert closure.bare(source) == 'class A:\n    x = "#no"\nasync def f():\n    return 1'
