"""The glossary links itself into pages, pages keep to its words, and the reference leaves nothing public out."""

import re
from pathlib import Path

import jupytext
import pytest
import yaml
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

import avnb

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
NAMES = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]
OTHERS = re.compile(  # words beside "chance" and "control", "ordinary" and "conflicting"; names that only code knows
    r"\b(?:null|uniform|baselines?|(?:counter)?factual|query|[^\W_]+(?:_[^\W_]+)+)\b|\b[a-z]+\+[a-z]+", re.IGNORECASE
)
SAID_ONCE = {  # where the study's words are told apart from those of the book, and where code is what it is about
    "book/glossary": {"factual", "counterfactual"},
    "notebooks/01_data_curation": {"factual", "counterfactual"},
    "notebooks/one_prefill": {"query"},  # of attention
}
PROSE = [name for name in NAMES if name not in ("book/api", "book/bibliography")]
PAGE = """
# A conflicting clip

A conflicting clip of the toybox, `fidelity`, and organisms; one more conflicting clip, and {term}`fidelity`.
"""
CONTENTS = """
# A book

```{toctree}
page
book/glossary
```
"""


def built(source):
    """The body of the page, as Sphinx leaves it."""
    out = source / "_build"
    settings = {
        "extensions": ["myst_parser", "glossary"],
        "myst_enable_extensions": ["colon_fence"],
        "exclude_patterns": ["_build"],
    }
    with pytest.MonkeyPatch.context() as patch, docutils_namespace():
        patch.syspath_prepend(BOOK / "extensions")
        Sphinx(source, None, out, out / "trees", "html", settings, status=None, warningiserror=True).build()
    return BeautifulSoup((out / "page.html").read_text(), "html.parser").find(class_="body")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    source = tmp_path_factory.mktemp("pages")
    (source / "book").mkdir()
    (source / "book" / "glossary.md").write_text((BOOK / "glossary.md").read_text())
    (source / "index.md").write_text(CONTENTS)
    (source / "page.md").write_text(PAGE)
    return source


@pytest.fixture(scope="module")
def page(source):
    return built(source)


def test_the_first_mention_of_a_word_links_to_what_it_means(page):
    links = page.select("p a.glossary")
    assert [link.text for link in links] == ["conflicting clip", "toybox", "organisms"]
    assert links[0]["href"] == "book/glossary.html#term-conflicting-clip"
    assert links[0]["title"].startswith("The picture of one clip with the sound of another")


def test_neither_headings_nor_code_link(page):
    assert not page.select("h1 a.glossary, code a.glossary")


def test_a_link_that_the_text_makes_itself_says_what_the_word_means(page):
    assert page.find("a", href="book/glossary.html#term-fidelity")["title"].startswith("How well an answer names")


def test_pages_follow_what_a_word_means(page, source):
    glossary = source / "book" / "glossary.md"
    glossary.write_text(glossary.read_text().replace("The picture of one clip", "The pictures of one clip"))
    assert built(source).select("p a.glossary")[0]["title"].startswith("The pictures of one clip")


@pytest.mark.parametrize("name", [name for name in avnb._HOME if isinstance(name, str)])
def test_every_public_name_stands_in_the_reference(name):
    text = (BOOK / "api.md").read_text()
    assert f"avnb.{name}\n" in text or f"`avnb.{name}`" in text or f".{name}\n" in text


def others(name, text):
    """Words of a text that readers should not meet on a page; marks of a chat are what a model said."""
    found = {word.lower() for word in OTHERS.findall(re.sub(r"<\|.*?\|>", "", text))}
    return found - SAID_ONCE.get(name, set())


@pytest.mark.parametrize("name", PROSE)
def test_prose_keeps_to_the_words_of_the_book(name):
    path = ROOT / f"{name}.py"
    if path.exists():
        text = "\n".join(cell.source for cell in jupytext.read(path).cells if cell.cell_type == "markdown")
    else:
        text = (ROOT / f"{name}.md").read_text()
    text = re.sub(r"(?s)```.*?```|`[^`]*`", "", text)
    assert not {word for word in others(name, text) if word.isalpha()}  # other names of code are seen on the built page


@pytest.mark.book
@pytest.mark.parametrize("name", PROSE)
def test_what_a_page_shows_keeps_to_the_words_of_the_book(book, name):
    page = BeautifulSoup(str(book[name].select_one("article")), "html.parser")
    for part in page.select("pre, code, script, style, .math, .cell_input, .cell_output em, a.reference"):
        part.decompose()  # the parameters at the end of a chapter are its own
    assert not others(name, page.get_text(" "))
