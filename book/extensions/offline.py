"""Pages that are complete without a network: MathJax comes from an installed package, and thebe stays out.

The extension that sphinx-mathjax-offline itself has copies all 24 MB of MathJax into the book; a page needs one script
and its fonts. Jupyter Book puts the settings of thebe (run code in the page; not used here) on every page, twice, which
the browser reports as an error.
"""

from importlib.util import find_spec
from pathlib import Path

from sphinx.util.fileutil import copy_asset

SCRIPT = "tex-chtml.js"
FONTS = "output/chtml/fonts/woff-v2"


def copy_mathjax(app, exception):
    """Copy the script and its fonts into the built book."""
    if exception is None and app.builder.format == "html":
        source = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
        target = Path(app.outdir) / "_static" / "mathjax"
        copy_asset(str(source / SCRIPT), str(target))
        copy_asset(str(source / FONTS), str(target / FONTS))


def drop_thebe(app, page, template, context, doctree):
    """Take thebe's scripts off a page."""
    context["script_files"] = [
        script
        for script in context["script_files"]
        if "thebe" not in f"{script.filename} {script.attributes.get('body')}".lower()
    ]


def setup(app):
    """Register with Sphinx."""
    app.config.mathjax_path = f"mathjax/{SCRIPT}"
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
