"""A number that stands in the prose is computed there, or has a row that says how it is known."""

import pytest

from book import typed


@pytest.mark.parametrize("file", typed.files())
def test_every_typed_number_has_its_source(file):
    known = {number for row in typed.TYPED if row.file == file for number in row.numbers}
    there = typed.found(typed.files()[file])
    assert there == known, "compute it, or say in book/typed.py how it is known; drop rows whose numbers are gone"


def test_a_planted_number_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("It hears 0.15 of them, 40 % in all, of 1,200.\n<!-- generated: x -->\n0.99\n<!-- end -->\n")
    assert typed.found(page) == {"0.15", "40 %", "1,200"}
    chapter = tmp_path / "chapter.py"
    chapter.write_text("# %% [markdown]\n# Some 0.42 of them.\n\n# %%\nx = 0.77\n")
    assert typed.found(chapter) == {"0.42"}
