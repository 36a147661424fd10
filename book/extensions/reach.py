"""What a page needs beyond its text to be found and shared: a description, a picture, a map of the book.

Every page says what it is about (`description`, and the tags that social networks and messengers read), and has a card
with its title, which is drawn here. Where the book has an address (`html: baseurl` in `_config.yml`), pages say which
one is theirs, and a `sitemap.xml` lists them. Where the project has none (`repository: url`), buttons that would lead
nowhere are left out. A chapter is downloaded as the notebook that it is. A search for a family of models finds its
members, and one for the subject in a chapter's file name ("knockout") begins with that chapter.
"""

import html
import re
import shutil
import textwrap
from pathlib import Path

from docutils import nodes
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont
from sphinx.search.en import SearchEnglish

UNSET = "OWNER_TO_SET"
CARDS = "_static/cards"
SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
SIZE = (1200, 630)  # pixels, what social networks ask for
SEEN, HEARD, INK, PAPER = "#0072b2", "#d55e00", "#1b1b1b", "#ffffff"
LONGEST = 200  # characters of a description


class Search(SearchEnglish):
    """English, in which "Qwen2" is also found as "Qwen"."""

    def split(self, text):
        """The words of a text, and what stands before the digits that end a word."""
        words = super().split(text)
        return words + [found[1] for word in words if (found := re.fullmatch(r"([^\W\d_]{3,})\d+", word))]


def rank_by_subject(app, config):
    """Let a search for the subject of a chapter begin with it."""
    config.html_search_scorer = str(Path(__file__).with_name("scorer.js"))


def leave_out_what_leads_nowhere(app, config):
    """Take off the buttons of a project that is not published yet."""
    if UNSET in config.html_theme_options.get("repository_url", ""):
        off = {"use_repository_button": False, "use_issues_button": False, "launch_buttons": {}}
        config.html_theme_options = config.html_theme_options | off


def describe(doctree):
    """What a page is about: its first paragraph of prose, cut at a word; outputs of cells do not count."""
    for paragraph in doctree.findall(nodes.paragraph):
        if not any("cell_output" in parent.get("classes", ()) for parent in _parents(paragraph)):
            return textwrap.shorten(paragraph.astext(), LONGEST, placeholder=" …")
    return ""


def _parents(node):
    while (node := node.parent) is not None and isinstance(node, nodes.Element):
        yield node


def draw_card(title, site, path):
    """The picture that is shown where a page is shared: its title, and the name of the book."""
    image = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIZE[0] // 2, 24), fill=SEEN)
    draw.rectangle((SIZE[0] // 2, 0, SIZE[0], 24), fill=HEARD)
    fonts = Path(get_data_path(), "fonts", "ttf")
    lines = textwrap.wrap(title, 26)[:4]
    large = ImageFont.truetype(fonts / "DejaVuSans-Bold.ttf", 72)
    small = ImageFont.truetype(fonts / "DejaVuSans.ttf", 36)
    draw.multiline_text((80, 110), "\n".join(lines), INK, large, spacing=18)
    draw.text((80, 520), site, INK, small)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


def add_tags(app, page, template, context, doctree):
    """Put the description and the card of a page into its head."""
    if doctree is None:
        return
    title, site = app.env.titles[page].astext(), app.config.html_title
    if title == site:
        context["docstitle"] = ""  # the tab of a browser need not say it twice
    file = f"{CARDS}/{page.replace('/', '-')}.png"
    draw_card(title, site if title != site else app.config.author, Path(app.outdir) / file)
    picture = f"{app.config.html_baseurl}{file}" if app.config.html_baseurl else context["pathto"](file, resource=True)
    about = describe(doctree)
    tags = {"og:title": title, "og:site_name": site, "og:type": "article", "og:description": about, "og:image": picture}
    tags |= {"og:image:alt": title} | ({"og:url": context["pageurl"]} if context.get("pageurl") else {})
    named = {"description": about, "twitter:card": "summary_large_image", "twitter:title": title}
    named |= {"twitter:description": about, "twitter:image": picture}
    lines = [f'<meta property="{name}" content="{html.escape(text)}">' for name, text in tags.items()]
    lines += [f'<meta name="{name}" content="{html.escape(text)}">' for name, text in named.items()]
    context["metatags"] = "\n".join([context.get("metatags", ""), *lines, ""])


def offer_the_notebook(app, page, template, context, doctree):
    """Let a chapter be downloaded as the .ipynb beside its source, which holds the same cells."""
    notebook = Path(app.srcdir, f"{page}.ipynb")
    if doctree is not None and notebook.exists():
        target = Path(app.outdir, "_sources", f"{page}.ipynb")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(notebook, target)
        context["ipynb_source"] = f"{page}.ipynb"


def write_sitemap(app, exception):
    """List the pages of a book that has an address."""
    base = app.config.html_baseurl
    if exception is None and base and app.builder.format == "html":
        places = [base + app.builder.get_target_uri(page) for page in sorted(app.env.found_docs)]
        urls = "\n".join(f"<url><loc>{place}</loc></url>" for place in places)
        text = f'<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="{SITEMAP}">\n{urls}\n</urlset>\n'
        Path(app.outdir, "sitemap.xml").write_text(text, encoding="utf8")


def open_to_everyone(app, page, template, context, doctree):
    """Entries of a bibliography are no list items to a screen reader, so what holds them must not be called a list; and
    what scrolls is reached by keyboard."""
    if "body" in context:
        body = context["body"].replace(' role="list" class="citation-list"', ' class="citation-list"')
        table = 'class="pst-scrollable-table-container"'
        scrolls = 'tabindex="0" role="group" aria-label="Table, scrolls sideways if wide"'
        context["body"] = body.replace(table, f"{table} {scrolls}")


def setup(app):
    """Register with Sphinx."""
    app.add_search_language(Search)
    app.connect("config-inited", rank_by_subject)
    app.connect("config-inited", leave_out_what_leads_nowhere)
    app.connect("html-page-context", add_tags)
    app.connect("html-page-context", offer_the_notebook)
    app.connect("html-page-context", open_to_everyone)
    app.connect("build-finished", write_sitemap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
