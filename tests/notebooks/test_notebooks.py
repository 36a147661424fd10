"""Every chapter is a valid source, has an up-to-date .ipynb, and runs with small parameters."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.py"))
PARAMETERS = {"seed"}  # every chapter
SMALL = {"n": 6, "steps": 4, "n_taught": 24}


def loaded(name):
    """A script of the book as a module."""
    spec = importlib.util.spec_from_file_location(f"book_{name}", ROOT / "book" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


notebooks, generated = loaded("notebooks"), loaded("generated")

chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def test_there_are_chapters():
    assert CHAPTERS


def test_ipynb_files_are_up_to_date():
    assert not notebooks.outdated(), "run `make notebooks`"


def test_generated_tables_are_up_to_date():
    assert not generated.outdated(), "run `make notebooks`"


def test_doors_lead_to_colab_and_to_the_book_once_they_have_an_address(monkeypatch):
    assert ":link: on-colab\n:link-type: ref" in generated.cards_of_entry()
    colab = "https://example.org/github/me/avnb/blob/main/notebooks/00_quickstart.ipynb"
    places = notebooks.Places("https://example.org/book/", "https://example.org/me/avnb")
    monkeypatch.setattr(generated, "_published", lambda: (places, colab, places.repository))
    assert f":link: {colab}\n:link-type: url" in generated.cards_of_entry()
    assert all(place in str(list(generated.doors())) for place in (places.book, colab))
    assert f"git clone {places.repository}\n" in generated.clone()


def test_a_mark_of_an_unknown_check_or_family_is_told(monkeypatch):
    monkeypatch.setattr(generated, "CHECKS", ("keys",))
    with pytest.raises(ValueError, match="see CHECKS"):
        list(generated.shown())


def test_a_test_that_fills_a_cell_of_the_book_is_never_skipped(tmp_path):
    source = "import pytest\n\n@pytest.mark.shows('keys', 'a family')\ndef test_it(): pytest.skip('no reason')\n"
    (tmp_path / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "fills a cell of the table in book/models.md, and was skipped" in done.stdout
    (tmp_path / "test_it.py").write_text(source.replace("@pytest.mark.shows('keys', 'a family')", ""))
    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


@chapter
def test_rendering_twice_gives_the_same_bytes(path):
    assert notebooks.render(path) == notebooks.render(path)


@chapter
def test_header(path):
    notebook = jupytext.read(path)
    assert notebook.metadata["kernelspec"]["name"] == "python3"  # without it the book shows no launch button
    assert notebook.metadata["jupytext"]["cell_metadata_filter"] == "tags,-all"  # without it tags get lost


@chapter
def test_opens_with_one_title(path):
    first = jupytext.read(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ")


def parameters(path):
    (cell,) = tagged(jupytext.read(path), "parameters")
    return {target.id for node in ast.parse(cell.source).body for target in node.targets}


@chapter
def test_one_parameters_cell(path):
    assert parameters(path) >= PARAMETERS


@chapter
def test_ipynb_has_no_outputs_and_is_valid(path):
    notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code and all(not cell.outputs and cell.execution_count is None for cell in code)


@chapter
def test_colab_cell_comes_first_and_keeps_torch(path):
    first = nbformat.read(path.with_suffix(".ipynb"), as_version=4).cells[0]
    assert "google.colab" in first.source and '"torch"' in first.source and "git+https://" in first.source


def test_colab_cell_installs_nothing_elsewhere(monkeypatch):
    """Outside Colab the cell runs and starts no process."""
    import subprocess

    monkeypatch.setattr(subprocess, "run", lambda *a, **k: pytest.fail("started a process"))
    exec(notebooks.COLAB_CELL.format(url="https://example.org/avnb", branch="main"), {})


def test_colab_cell_names_the_installed_torch(monkeypatch):
    """On Colab it asks pip for avnb and for exactly the torch that is there."""
    import subprocess
    import sys
    from importlib.metadata import version
    from types import ModuleType

    calls = []
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))

    def run(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(subprocess, "run", run)
    exec(notebooks.COLAB_CELL.format(url="https://example.org/avnb", branch="main"), {})
    assert "avnb @ git+https://example.org/avnb@main" in calls[0]
    assert f"torch=={version('torch')}" in calls[0]


def test_a_failed_install_on_colab_says_what_pip_said(monkeypatch):
    import subprocess
    import sys
    from types import ModuleType

    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "no such torch")
    )
    with pytest.raises(SystemExit, match="no such torch"):
        exec(notebooks.COLAB_CELL.format(url="https://example.org/avnb", branch="main"), {})


PUBLISHED = notebooks.Places("https://example.org/book/", "https://example.org/avnb")
REPOSITORY = PUBLISHED._replace(book="")
NOWHERE = notebooks.Places()


@pytest.mark.parametrize(
    ("places", "link", "image"),
    [
        (
            PUBLISHED,
            "[chapter 1](https://example.org/book/notebooks/01_data_curation.html)",
            "![A dog.](https://example.org/avnb/raw/main/book/a.svg)",
        ),
        (
            REPOSITORY,
            "[chapter 1](https://example.org/avnb/blob/main/notebooks/01_data_curation.ipynb)",
            "![A dog.](https://example.org/avnb/raw/main/book/a.svg)",
        ),
        (NOWHERE, "chapter 1", "*A dog.*"),
    ],
)
def test_what_only_the_book_understands_becomes_plain_markdown(places, link, image):
    assert notebooks.plain("{cite}`geva2023dissecting` cut.", places).startswith("[Geva et al., 2023](https://")
    assert notebooks.plain("see {doc}`chapter 1 <01_data_curation>`", places) == f"see {link}"
    assert notebooks.plain("```{image} ../book/a.svg\n:alt: A dog.\n:class: hero\n```", places) == image


def test_a_page_that_is_no_chapter_is_linked_as_what_it_is():
    assert notebooks.plain("{doc}`/book/faq`", REPOSITORY) == "[faq](https://example.org/avnb/blob/main/book/faq.md)"


@chapter
def test_links_of_an_ipynb_hold_wherever_it_is_opened(path):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    config["repository"]["url"] = "https://example.org/avnb"
    for text in (path.with_suffix(".ipynb").read_text(encoding="utf8"), notebooks.render(path, config)):
        cells = nbformat.reads(text, as_version=4).cells
        prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        assert not re.findall(r"\]\((?!https://)[^)]*\)|(?:src|href)=.(?!https://).{20}", prose)


@chapter
def test_ipynb_holds_no_roles_and_asks_for_no_gpu(path):
    notebook = nbformat.read(path.with_suffix(".ipynb"), as_version=4)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert not re.search(r"\{\w+\}`|```\{", prose)
    assert "accelerator" not in notebook.metadata


def with_its_widgets(path):
    """The chapter with the cells that a batch skips; their widgets talk to nobody, who could keep them waiting."""
    notebook = nbformat.read(path, as_version=4)
    for cell in tagged(notebook, "skip-execution"):
        cell.metadata["tags"].remove("skip-execution")
    notebook.cells.insert(0, nbformat.v4.new_code_cell("import comm\ncomm.create_comm = comm.DummyComm"))
    return notebook


@pytest.mark.chapter
@chapter
def test_runs_through_papermill(path, tmp_path, smol):
    small = {name: value for name, value in SMALL.items() if name in parameters(path)} | {"out": str(tmp_path / "out")}
    source, target = tmp_path / "source.ipynb", tmp_path / "run.ipynb"
    nbformat.write(with_its_widgets(path.with_suffix(".ipynb")), source)
    papermill.execute_notebook(source, target, parameters=small, cwd=tmp_path, progress_bar=False)
    assert {p.name for p in tmp_path.iterdir()} <= {"out", "source.ipynb", "run.ipynb"}, (
        "a chapter writes outside of `out`"
    )


@pytest.mark.chapter
def test_one_clip_of_each_kind_runs_the_chapter_and_is_no_finding(tmp_path):
    source, target = ROOT / "notebooks" / "02_caption_fidelity.ipynb", tmp_path / "run.ipynb"
    ran = papermill.execute_notebook(source, target, {"n": 2, "out": str(tmp_path)}, cwd=tmp_path, progress_bar=False)
    said = [o["data"].get("text/markdown", "") for cell in ran.cells for o in cell.get("outputs", []) if "data" in o]
    assert any("One clip says nothing about others" in text for text in said)
    assert any("**Not measured**" in text for text in said)
