"""Figures as arguments: numbered, the finding as their caption, in the colours of the page, to enlarge and to save.

A figure goes into the page as SVG whose text is text: it can be searched, and black and white follow the page's light
or dark mode, as do the colours of what is seen and heard. Images and crowded marks inside it are WebP.
"""

import base64
import html
import io
import re
from importlib.resources import files
from urllib.parse import quote

from PIL import Image

CROWDED = 400  # marks of one collection, from which on they are drawn as an image
_DPI = 200  # of images inside the SVG
_FONTS = "Arial, Liberation Sans, DejaVu Sans, sans-serif"
_THEMED = {"#0072b2": "var(--avnb-seen,#0072b2)", "#d55e00": "var(--avnb-heard,#d55e00)"}
_IMAGE = re.compile(r'data:image/png;base64,([A-Za-z0-9+/=\s]+)"')

_numbers = {}  # text -> number, in the order of their first appearance in this kernel


def figure(fig, text, alt="", data=None):
    """A matplotlib figure with its number, its finding and what it draws as a caption below; closes the figure.

    The title of the figure, or of its only axes, is the finding: it leaves the picture and opens the caption, where it
    can be read on any screen. Numbers count figures of one kernel; a cell that runs again keeps its number.

    Args:
        fig: the figure. What is black or white in it follows the page; backgrounds are left out.
        text: what is drawn, in a sentence or two, with units, n, and what intervals are.
        alt: what it shows, for those who do not see it; the text itself, if there is none.
        data: DataFrame behind the figure, offered for download as CSV.

    Returns:
        IPython.display.HTML.

    Example:
        >>> import matplotlib.pyplot as plt
        >>> fig, ax = plt.subplots()
        >>> title = ax.set_title("More is heard than said")
        >>> "More is heard than said.</b> Recall (0 to 1), n = 8." in figure(fig, "Recall (0 to 1), n = 8.").data
        True
    """
    from IPython.display import HTML
    from matplotlib import pyplot

    number = _numbers.setdefault(alt or text, len(_numbers) + 1)
    finding = _taken_title(fig)
    lead = " ".join(f"Figure {number}. {_sentence(finding)}".split())
    picture = _svg(fig, number)
    width = round(fig.get_figwidth() * 96)
    pyplot.close(fig)
    label = html.escape(" ".join(filter(None, (_sentence(finding), alt or text))), quote=True)
    name = f"figure-{number}"
    saved = f'<button type="button" data-avnb="save" data-name="{name}">Save figure</button>'
    if data is not None:
        table = quote(data.to_csv(index=False, float_format="%.4g"))
        saved += f'<a download="{name}.csv" href="data:text/csv;charset=utf-8,{table}">Data (CSV)</a>'
    return HTML(
        f'{style()}<figure class="avnb-figure" id="{name}" style="--width:{width}px">'
        f'<div class="avnb-picture" tabindex="0" role="group" aria-label="Figure {number}, scrolls sideways if wide">'
        f'{picture.replace("<svg ", f"""<svg role="img" aria-label="{label}" """, 1)}</div>'
        f"<figcaption><b>{html.escape(lead)}</b> {html.escape(text)}"
        f'<span class="avnb-tools"><button type="button" data-avnb="enlarge">Enlarge</button>{saved}</span>'
        f"</figcaption><dialog></dialog></figure>{script()}"
    )


def style():
    """The look of what this room puts into a page, as an element that every output carries: outputs may stand alone."""
    return f"<style>{_packed('show.css')}</style>"


def script():
    """The few lines behind the buttons of a figure, as an element that every output carries."""
    return f"<script>{_packed('show.js')}</script>"


def _packed(name):
    lines = files("avnb.show").joinpath(name).read_text(encoding="utf8").splitlines()
    return "".join(line.strip() for line in lines if not line.lstrip().startswith(("//", "/*")))


def _taken_title(fig):
    """The finding that a figure carries as its title, which is removed from it."""
    if fig.get_suptitle():
        title, fig._suptitle = fig.get_suptitle(), fig._suptitle.remove()
        return title
    panels = [ax for ax in fig.axes if ax.get_label() != "<colorbar>"]
    if len(panels) != 1:
        return ""
    for place in ("center", "left", "right"):
        if title := panels[0].get_title(loc=place):
            panels[0].set_title("", loc=place)
            return title
    return ""


def _sentence(text):
    text = " ".join(text.split())
    return text if not text or text.rstrip("”")[-1:] in (".", "?", "!") else f"{text}."


def _svg(fig, number):
    """The figure as an SVG element that takes its colours from the page."""
    from matplotlib import rc_context

    for ax in fig.axes:
        for marks in ax.collections:
            if max(len(marks.get_paths()), len(marks.get_offsets()), _cells(marks)) > CROWDED:
                marks.set_rasterized(True)
    with io.StringIO() as file, rc_context({"svg.fonttype": "none", "svg.hashsalt": f"avnb-{number}"}):
        fig.savefig(file, format="svg", dpi=_DPI, bbox_inches="tight", transparent=True, metadata={"Date": None})
        text = file.getvalue()
    text = text[text.index("<svg ") :].strip()
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r"; font-family: [^;\"]*sans-serif", "", text)  # the same everywhere: once, at the root
    text = re.sub(r"\n\s*", "\n", _IMAGE.sub(_smaller, text))
    text = re.sub(r"<(path|use|rect)[^>]*>", lambda mark: mark[0].replace("#ffffff", "var(--avnb-paper,#fff)"), text)
    text = re.sub(
        r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL
    )  # it would hold for the whole page
    text = text.replace("stroke: #000000", "stroke: currentColor").replace("xlink:href", "href")
    for colour, themed in _THEMED.items():
        text = text.replace(colour, themed)
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height|xmlns:xlink|version)="[^"]*"', "", head)
    return f'{head} fill="currentColor" stroke-linejoin="round" font-family="{_FONTS}">{rest}'


def _cells(marks):
    array = marks.get_array()
    return 0 if array is None else array.size


def _smaller(match):
    """An embedded PNG as WebP, where that is smaller."""
    content = base64.b64decode(match[1])
    with io.BytesIO(content) as source, io.BytesIO() as file:
        Image.open(source).save(file, format="webp", quality=85)
        if len(file.getvalue()) < len(content):
            return f'data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"'
    return "".join(match[0].split())
