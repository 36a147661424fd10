"""The built book in a real browser, without a network: quiet, whole, and each piece answers and can be linked to."""

import functools
import http.server
import io
import re
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
import yaml

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]
HTML = ROOT / "_build" / "html"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
NAMES = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]
AXE = "4.10.3"
PIECES = ("close-its-eyes", "swap-the-sound", "look-away", "read-its-mind", "raise-one", "how-many-clips")

each_page = pytest.mark.parametrize("name", [*NAMES, "search", "genindex"])
SCHEMES = ("light", "dark")
WIDTHS = {1440: SCHEMES, 390: SCHEMES[::-1]}  # CSS pixels -> the scheme that a page is loaded in, and turned to


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(book):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=HTML)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium here; `make chromium` installs Debian's")
    with playwright.sync_playwright() as run:
        yield run.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])


@pytest.fixture
def visit(browser, address):
    """Opens a page of the book, to which the rest of the world does not answer; notes what goes wrong there."""
    contexts = []

    def opened(path, width=1440, scheme="light", scripts=True):
        screen = {"width": width, "height": 900}
        context = browser.new_context(viewport=screen, color_scheme=scheme, java_script_enabled=scripts)
        contexts.append(context)
        page = context.new_page()
        page.wrong = []
        page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("requestfailed", lambda request: page.wrong.append(request.url))
        page.on("response", lambda answer: page.wrong.append(answer.url) if answer.status >= 400 else None)
        page.route("**/*", lambda route: (route.continue_ if _is_here(route, address) else route.abort)())
        page.goto(f"{address}/{path}", wait_until="load")
        return page

    yield opened
    for context in contexts:
        context.close()


def _is_here(route, address):
    return route.request.url.startswith((address, "data:", "blob:"))


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The script of axe-core, from npm."""
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "pack", f"axe-core@{AXE}", "--silent"]
    if shutil.which("npm") is None or subprocess.run(command, cwd=folder, capture_output=True).returncode:
        pytest.skip("npm is missing, or does not reach its registry")
    content = (folder / f"axe-core-{AXE}.tgz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(content)) as packed:
        return packed.extractfile("package/axe.min.js").read().decode("utf8")


@each_page
def test_a_page_is_quiet_and_whole(visit, name):
    for width, schemes in WIDTHS.items():
        page = visit(f"{name}.html", width, schemes[0])
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_timeout(100)
            beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert beyond <= 0, f"{width} px, {scheme}"
        assert not page.wrong, f"{width} px"
        assert not page.evaluate(
            "[...document.images].filter(i => !i.alt && i.getAttribute('role') !== 'presentation').map(i => i.src)"
        )


@each_page
def test_everyone_can_use_a_page(visit, axe, name):
    page = visit(f"{name}.html")
    page.add_script_tag(content=axe)
    page.add_style_tag(content="* { transition: none !important }")  # colours on their way are nobody's
    for width, (scheme, _) in WIDTHS.items():  # wide in light, narrow in dark: a run takes some seconds
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(600)  # some time after a change of width the theme looks what scrolls
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then(result => result.violations)")
        grave = [one for one in found if one["impact"] in ("serious", "critical")]
        told = [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in grave]
        assert not told, f"{width} px, {scheme}"


def pieces(book):
    """(page, kind) of every piece of the book."""
    return [
        (name, section["data-piece"]) for name, page in book.items() for section in page.select("section.avnb-piece")
    ]


def test_every_kind_of_piece_is_somewhere_in_the_book(book):
    assert {piece for _, piece in pieces(book)} == set(PIECES)


def within(page, piece, part):
    return page.locator(f"[data-piece={piece}] {part}")


def said(page, piece):
    """What a piece shows: its texts and the classes of its cells."""
    return within(page, piece, ".avnb-live").evaluate(
        "live => [live.innerText, ...[...live.querySelectorAll('td, circle, .avnb-dot')].map(cell => cell.outerHTML)]"
    )


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_answers_to_the_keyboard_and_its_address_brings_it_back(visit, book, piece):
    name = next(page for page, found in pieces(book) if found == piece)
    page = visit(f"{name}.html")
    before = said(page, piece)
    if within(page, piece, "input").count():
        within(page, piece, "input").last.focus()
        for key in ("ArrowLeft", "Home", "End"):
            page.keyboard.press(key)
            if said(page, piece) != before:
                break
    else:
        within(page, piece, "button[role=switch]").focus()
        page.keyboard.press("Enter")
    after, shared = said(page, piece), page.evaluate("location.hash")
    assert after != before and shared.startswith(f"#{piece}?")
    assert said(visit(f"{name}.html{shared}"), piece) == after
    assert said(visit(f"{name}.html"), piece) == before
    assert said(visit(f"{name}.html#{piece}?nonsense=1&from=99&n=-3&picture=%3Cb%3E"), piece) == before
    assert not page.wrong


@pytest.mark.parametrize("piece", PIECES)
def test_without_scripts_and_on_paper_a_piece_is_a_figure_and_a_table(visit, book, piece):
    name = next(page for page, found in pieces(book) if found == piece)
    page = visit(f"{name}.html", scripts=False)
    for part in ("figure > :is(svg, img)", "table"):
        assert within(page, piece, f".avnb-still {part}").first.is_visible()
    page = visit(f"{name}.html")
    still, live = (within(page, piece, f".avnb-{part}") for part in ("still", "live"))
    assert live.is_visible() and not still.is_visible()
    page.emulate_media(media="print")
    assert still.is_visible() and not live.is_visible()


def test_a_guess_is_asked_before_what_the_models_say_is_shown(visit, book):
    name = next(page for page, found in pieces(book) if found == "swap-the-sound")
    page = visit(f"{name}.html")
    answers = within(page, "swap-the-sound", ".avnb-said")
    assert answers.count() == 0
    guess = within(page, "swap-the-sound", "button").filter(has_text=re.compile("^something else$"))
    guess.focus()
    page.keyboard.press("Enter")
    verdict = within(page, "swap-the-sound", "[aria-live] > p").inner_text()
    assert verdict.startswith("You guessed something else: ") and answers.count() > 1
    told = answers.first.locator(".avnb-kind").get_attribute("data-kind")
    assert verdict.endswith("right.") == (told == "neither")
    within(page, "swap-the-sound", "input[name=swap-the-sound-sound]").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert answers.count() == 0, "another pair is guessed anew"


def test_what_a_token_tells_comes_with_the_keyboard_too(visit):
    page = visit("notebooks/06_token_distribution.html")
    page.locator(".avnb-token[tabindex='0']").first.focus()
    told = page.evaluate("getComputedStyle(document.activeElement, '::after').content")
    assert "rank" in told and "nats" in told


@pytest.mark.parametrize("query", ["Qwen2.5-Omni", "Qwen"])
def test_search_finds_models_by_name_and_by_family(visit, query):
    page = visit(f"search.html?q={query}")
    page.wait_for_selector("#search-results li")
    page.wait_for_timeout(500)
    found = page.locator("#search-results li").all_inner_texts()
    assert any("Models" in text or "How to run" in text for text in found) and len(found) > 1


@pytest.mark.parametrize(("query", "chapter"), [("knockout", 5), ("lens", 4), ("fidelity", 2), ("attention", 3)])
def test_search_for_a_subject_begins_with_its_chapter(visit, query, chapter):
    page = visit(f"search.html?q={query}")
    page.wait_for_selector("#search-results li")
    page.wait_for_timeout(500)
    assert page.locator("#search-results li").first.inner_text().startswith(f"{chapter}. ")


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("notebooks/")])
def test_the_first_screen_of_a_chapter_holds_its_finding(visit, name):
    page = visit(f"{name}.html")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        box = page.locator("aside.avnb-short b").first.bounding_box()
        assert box["y"] + box["height"] < 900, f"{width} px"
