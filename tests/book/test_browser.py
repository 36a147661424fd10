"""The built book in a real browser, without a network: quiet, whole, and each piece answers and can be linked to."""

import functools
import http.server
import io
import json
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

each_page = pytest.mark.parametrize("name", NAMES)
LOOKS = [(width, scheme) for width in (1440, 390) for scheme in ("light", "dark")]


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

    def opened(path, width=1440, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
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
    page = visit(f"{name}.html")
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(200)
        beyond = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert beyond <= 0, f"{width} px, {scheme}"
    assert not page.wrong
    assert not page.evaluate(
        "[...document.images].filter(i => !i.alt && i.getAttribute('role') !== 'presentation').map(i => i.src)"
    )


@each_page
def test_everyone_can_use_a_page(visit, axe, name):
    page = visit(f"{name}.html")
    page.add_script_tag(content=axe)
    page.add_style_tag(content="* { transition: none !important }")  # colours on their way are nobody's
    for scheme, rules in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):  # only colours differ
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(200)
        options = json.dumps({"resultTypes": ["violations"], **rules})
        found = page.evaluate(f"axe.run(document, {options}).then(result => result.violations)")
        grave = [one for one in found if one["impact"] in ("serious", "critical")]
        assert not [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in grave], scheme


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
def test_without_scripts_and_on_paper_a_piece_is_a_table(visit, book, piece):
    name = next(page for page, found in pieces(book) if found == piece)
    page = visit(f"{name}.html")
    still, live = (within(page, piece, f".avnb-{part}") for part in ("still", "live"))
    assert live.is_visible() and not still.is_visible()
    page.emulate_media(media="print")
    assert still.is_visible() and not live.is_visible()


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
    box = visit(f"{name}.html").locator("aside.avnb-short b").first.bounding_box()
    assert box["y"] + box["height"] < 900
