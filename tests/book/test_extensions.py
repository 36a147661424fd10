"""What the book's own extensions do to a page."""

import base64
import importlib.util
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from PIL import Image
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

ROOT = Path(__file__).resolve().parents[2]


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "extensions" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_video_becomes_one_file_and_its_poster_stays(tmp_path):
    video = base64.b64encode(b"a video").decode()
    one = f'<video preload="metadata" poster="data:image/jpeg;base64,AA==" src="data:video/mp4;base64,{video}"></video>'
    page = loaded("clips").apart(one + one, tmp_path, lambda path: f"../{path}")
    (file,) = (tmp_path / "_static" / "clips").iterdir()
    assert file.read_bytes() == b"a video"
    assert page.count(f'src="../_static/clips/{file.name}"') == page.count('preload="none"') == 2
    assert "data:video" not in page and page.count("data:image/jpeg") == 2


def built(source, baseurl=""):
    """A book of two pages, with the extension that makes it known; its folder."""
    source.mkdir()
    (source / "index.md").write_text("# A book\n\nWhat it is about.\n\n```{toctree}\nnotebooks/page\n```\n")
    (source / "notebooks").mkdir()
    (source / "notebooks" / "page.md").write_text("# A page with a title\n\nWhat this page finds.\n")
    out = source / "_build"
    settings = {"extensions": ["myst_parser", "reach"], "html_title": "A book", "author": "Its authors"}
    settings |= {"html_baseurl": baseurl, "exclude_patterns": ["_build"]}
    with pytest.MonkeyPatch.context() as patch, docutils_namespace():
        patch.syspath_prepend(ROOT / "book" / "extensions")
        Sphinx(source, None, out, out / "trees", "html", settings, status=None, warningiserror=True).build()
    return out


def tags(page):
    found = BeautifulSoup(page.read_text(), "html.parser").select("meta[content]")
    return {tag.get("property") or tag.get("name"): tag["content"] for tag in found}


def test_a_page_says_what_it_is_about_and_has_a_card_with_its_title(tmp_path):
    out = built(tmp_path / "book")
    page = out / "notebooks" / "page.html"
    said = tags(page)
    assert said["description"] == said["og:description"] == "What this page finds."
    assert said["og:title"] == said["og:image:alt"] == "A page with a title"
    card = page.parent / said["og:image"]
    assert Image.open(card).size == (1200, 630)
    assert card.read_bytes() != (out / tags(out / "index.html")["og:image"]).read_bytes()
    assert not (out / "sitemap.xml").exists(), "a book without an address has no map"


def test_a_book_with_an_address_has_a_map_of_its_pages_and_says_where_its_cards_are(tmp_path):
    out = built(tmp_path / "book", "https://example.org/book/")
    places = [place.text for place in ElementTree.parse(out / "sitemap.xml").findall("{*}url/{*}loc")]
    assert places == ["https://example.org/book/index.html", "https://example.org/book/notebooks/page.html"]
    said = tags(out / "notebooks" / "page.html")
    assert said["og:url"] == places[1] and said["og:image"].startswith("https://example.org/book/")
    assert (out / urlsplit(said["og:image"]).path.removeprefix("/book/")).exists()
