"""The book builds without a warning, and its pages are complete: no traceback, dead link, mute picture or lost clip."""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import av
import pytest
import yaml

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
NAMES = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]
CHAPTERS = [name for name in NAMES if name.startswith("notebooks/")]


def batched(name):
    """Whether a chapter is about the model that its parameter names, so that `avnb run` takes it."""
    text = (ROOT / f"{name}.py").read_text()
    return "\n#     batch: true\n" in text and bool(re.search(r'^model = "', text, re.MULTILINE))


each_page = pytest.mark.parametrize("name", NAMES)


def test_the_bare_address_is_the_landing_page(book):
    assert TOC["root"] == "index"
    assert book["index"].select_one("article h1") and not book["index"].select("meta[http-equiv=refresh]")


def test_the_three_doors_lead_to_three_places(book):
    doors = {card["href"] for card in book["index"].select(".sd-card a.sd-stretched-link")}
    assert len(doors) == 3


def test_no_other_pages(book):
    built = {str(p.relative_to(HTML).with_suffix("")) for p in HTML.rglob("*.html") if "_static" not in p.parts}
    assert built - {"genindex", "search"} == set(NAMES)


def test_a_tab_says_the_title_of_the_book_once(book):
    titles = [book[name].title.get_text() for name in ("index", "notebooks/00_quickstart")]
    assert titles == ["Seeing or hearing?", "0. One clip, two sounds — Seeing or hearing?"]


@each_page
def test_no_traceback(book, name):
    text = book[name].get_text()
    assert "Traceback (most recent call last)" not in text
    assert "<IPython." not in text, "an object shows its class instead of itself"
    assert not book[name].select(".output.traceback"), "a cell failed"


@each_page
def test_no_unresolved_reference(book, name):
    page = book[name]
    assert not page.select(".xref.myst, .problematic, .system-message")
    assert not re.search(r"\{(doc|ref|numref|cite|cite:t|cite:p|eq)\}`", page.get_text())


@each_page
def test_local_links_lead_somewhere(book, name):
    folder = (HTML / name).parent
    for tag, attribute in [("a", "href"), ("img", "src"), ("script", "src"), ("link", "href"), ("source", "src")]:
        for element in book[name].find_all(tag, **{attribute: True}):
            url = urlsplit(element[attribute])
            if url.scheme or url.netloc or not url.path:
                continue
            assert (folder / unquote(url.path)).exists(), f"{tag} {element[attribute]}"


@each_page
def test_anchors_exist(book, name):
    page = book[name]
    ids = {element["id"] for element in page.find_all(id=True)}
    for element in page.select("article a[href^='#']"):
        assert element["href"] in {"#", *(f"#{i}" for i in ids)}, element["href"]


@each_page
def test_pictures_and_clips_have_text(book, name):
    for image in book[name].select("article img"):
        assert image.get("alt", "").strip(), f"no alt text: {str(image)[:120]}"
    for video in book[name].select("video"):
        assert video.get("aria-label", "").strip() and video.has_attr("controls")


@each_page
def test_nothing_is_fetched_from_elsewhere(book, name):
    page = book[name]
    loaded = [s["src"] for s in page.select("script[src]")] + [s["href"] for s in page.select("link[rel=stylesheet]")]
    assert not [url for url in loaded if urlsplit(url).netloc]


@pytest.mark.parametrize("name", CHAPTERS)
def test_clips_play_in_the_page(book, name):
    videos = book[name].select("video[src]")
    assert videos, "no clip in this chapter"
    for video in videos:
        with av.open(str((HTML / name).parent / video["src"])) as container:
            assert next(container.decode(video=0)).width > 0


@each_page
def test_no_page_is_heavy_before_a_clip_is_played(book, name):
    assert (HTML / f"{name}.html").stat().st_size < 2_000_000


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_opens_with_what_was_found_and_a_clip(book, name):
    first = book[name].select_one("article .cell_output")
    box = first.select_one("aside.avnb-short")
    assert box, "the first output is no box of what was found (show.in_short)"
    assert box.select_one("b").text.strip() and box.select_one("video")


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_says_what_it_shows_and_what_it_does_not(book, name):
    headings = [heading.get_text().rstrip("#") for heading in book[name].select("article h2")]
    assert headings.index("What this does not show") == headings.index("What this shows") + 1
    assert "Try it yourself" in headings


@each_page
def test_figures_are_numbered_and_say_what_they_show(book, name):
    captions = [caption.get_text() for caption in book[name].select("figure.avnb-figure figcaption")]
    assert [re.match(r"Figure (\d+)\. .", caption)[1] for caption in captions] == [
        str(i + 1) for i in range(len(captions))
    ]
    assert all(svg.get("aria-label") for svg in book[name].select("figure.avnb-figure svg"))


@each_page
def test_a_figure_of_a_result_says_what_was_found_over_how_many_and_how_surely_and_gives_its_data(book, name):
    for figure in book[name].select("figure.avnb-figure"):
        caption = figure.select_one("figcaption").get_text()
        if re.match(r"Figure \d+\. Spectrograms", caption):
            continue  # a picture of sounds: nothing is measured
        assert re.sub(r"Figure \d+\.", "", figure.select_one("figcaption b").get_text()).strip(), caption
        assert re.search(r"\bn = \d", caption), caption
        assert "interval" in caption or "95 % band" in caption or re.search(r"\bn = 1\b", caption), caption
        assert figure.select_one("a[download$='.csv']"), caption


@pytest.mark.parametrize("name", [name for name in CHAPTERS if batched(name)])
def test_a_figure_of_a_model_names_it(book, name):
    for caption in book[name].select("figure.avnb-figure figcaption"):
        assert "toy-omni" in caption.get_text()


@each_page
def test_formulas_are_rendered_in_computed_prose_too(book, name):
    for line in book[name].select(".cell_output :is(p, li)"):
        assert not re.search(r"\$[^$]+\$", line.get_text()), line.get_text()[:120]


@each_page
def test_no_reader_meets_the_id_of_a_file(book, name):
    assert not re.search(r"test-\d+-\d{5}", book[name].select_one("article").get_text())


@pytest.mark.parametrize("name", CHAPTERS)
def test_launch_button(book, name):
    links = [a["href"] for a in book[name].select("a[href*='colab.research.google.com']")]
    if "OWNER_TO_SET" in (ROOT / "_config.yml").read_text():  # not published: no button that leads nowhere
        assert not links
    else:
        assert links and links[0].endswith(f"{name}.ipynb")


def test_second_build_runs_nothing(book):
    done = subprocess.run([sys.executable, "book/build.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "Executing notebook" not in done.stdout + done.stderr
