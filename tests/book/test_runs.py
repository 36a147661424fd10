"""The part of the book that shows executed runs."""

import importlib.util
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from avnb.errors import AvnbError

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """book/runs.py, in a book of one page."""
    spec = importlib.util.spec_from_file_location("runs", ROOT / "book" / "runs.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "runs", module)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "avnb").mkdir()
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    for folder in ("assets", "extensions"):
        shutil.copytree(ROOT / "book" / folder, tmp_path / "book" / folder)
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "notebooks").mkdir()
    for page in ("book/index.md", "notebooks/01_before.md"):
        (tmp_path / page).write_text("# A page\n")
    contents = {"format": "jb-book", "root": "book/index"}
    contents["parts"] = [{"caption": "Before", "chapters": [{"file": "notebooks/01_before"}]}]
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(contents))
    return module


def executed(path, title, model=None, output="4", error=None, key="a key"):
    """An executed notebook, as a batch leaves it."""
    outputs = [new_output("stream", text=output)]
    if error:
        outputs = [new_output("error", ename=error, evalue="a reason", traceback=[])]
    cells = [
        new_markdown_cell(f"# {title}\n\nAfter {{doc}}`the page before <01_before>`, and {{doc}}`01_before`."),
        new_code_cell("n = 4", metadata={"tags": ["injected-parameters"]}),
        new_code_cell("raise SystemExit('run again')", outputs=outputs, execution_count=1),
    ]
    parameters = {"model": model} if model else {"models": ["toy-omni"]}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    about = {"avnb": {"key": key}, "papermill": {"parameters": parameters}, "kernelspec": kernel}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=about), path)


@pytest.fixture
def folder(tmp_path):
    """Runs of two models, of which one chapter does not apply to the second, and one failed for the first."""
    out = tmp_path / "out"
    executed(out / "toy-omni" / "02_caption_fidelity.ipynb", "Does it *say* it?", "toy-omni", "said by toy-omni")
    executed(out / "toy-omni" / "04_logit_lens.ipynb", "Inside?", "toy-omni", error="KeyError", key=None)
    executed(out / "an+owner+one-2.5" / "02_caption_fidelity.ipynb", "Does it *say* it?", "an/owner/one-2.5")
    name = "InapplicableError"
    executed(out / "an+owner+one-2.5" / "04_logit_lens.ipynb", "Inside?", "an/owner/one-2.5", error=name)
    executed(out / "07_generalisation.ipynb", "One, or all?", output="said of all")
    (out / "other.ipynb").write_text("{}")
    return out


def test_what_was_not_run_says_so(runs, folder):
    found = runs.found(folder)
    assert [(run.model, run.name) for run in found][0] == (None, "07_generalisation") and len(found) == 5
    first, *rows = runs.table(found)
    assert first == ["Chapter", "an/owner/one-2.5", "toy-omni"]
    cells = {row[0]: row[1:] for row in rows}
    shown = ["[shown](an+owner+one-2.5/02_caption_fidelity)", "[shown](toy-omni/02_caption_fidelity)"]
    assert cells[r"Does it \*say\* it?"] == shown
    assert cells["Inside?"] == ["n/a: a reason", "failed: a reason"]
    assert cells["5. What does an answer say if it may not look?"] == ["not run", "not run"], (
        "a chapter that nobody ran"
    )
    assert not any("generalisation" in name for name in cells), "what is about all has no model"


def test_a_folder_without_runs_says_so(runs, tmp_path):
    with pytest.raises(AvnbError, match="holds no executed notebook; give the folder"):
        runs.prepare(tmp_path)


def test_runs_become_parts_of_the_book(runs, folder, tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("book_build", ROOT / "book" / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "BUILD", tmp_path / "_build")
    assert build.build(folder) == 0, "a warning is an error"
    pages = tmp_path / "_build" / "html" / "book" / "runs"
    index = BeautifulSoup((pages / "index.html").read_text(encoding="utf8"), "html.parser")
    captions = [caption.get_text() for caption in index.select("nav .caption-text")]
    assert captions[:4] == ["Before", "Your runs", "an/owner/one-2.5", "toy-omni"]
    for link in index.select("article table a, main table a"):
        assert (pages / unquote(link["href"])).exists()
    said = " ".join(index.get_text().split())
    assert "not run" in said and "holds no table of fidelity" in said
    page = (pages / "toy-omni" / "02_caption_fidelity.html").read_text(encoding="utf8")
    assert "said by toy-omni" in page and page.count("01_before.html") >= 2
    assert page.count("tag_hide-input") == 1, "injected parameters are folded"
    assert "said of all" in (pages / "07_generalisation.html").read_text(encoding="utf8")
    assert not (pages / "toy-omni" / "04_logit_lens.html").exists()
