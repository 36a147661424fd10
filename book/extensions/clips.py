"""Clips as files beside the pages: a notebook's output holds its videos, a page of the book need not.

A page with thirty clips would be megabytes of text before its first line is read. So each video is written once, under
a name that follows from its content, and is fetched when it is played; its poster stays in the page.
"""

import base64
import hashlib
import re
from pathlib import Path

FOLDER = "_static/clips"
_VIDEO = re.compile(r'preload="metadata"([^>]*) src="data:video/mp4;base64,([A-Za-z0-9+/=]+)"')


def apart(body, outdir, address):
    """HTML whose videos are files below `outdir`.

    Args:
        body: HTML of a page.
        outdir: folder of the built book.
        address: takes the path of a file in the book and gives its address as seen from the page.
    """

    def file(match):
        content = base64.b64decode(match[2])
        path = f"{FOLDER}/{hashlib.sha256(content).hexdigest()[:20]}.mp4"
        (Path(outdir) / FOLDER).mkdir(parents=True, exist_ok=True)
        (Path(outdir) / path).write_bytes(content)
        return f'preload="none"{match[1]} src="{address(path)}"'

    return _VIDEO.sub(file, body)


def put_apart(app, page, template, context, doctree):
    """Take the videos out of a page."""
    if "body" in context:
        context["body"] = apart(context["body"], app.outdir, lambda path: context["pathto"](path, 1))


def setup(app):
    """Register with Sphinx."""
    app.connect("html-page-context", put_apart)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
