"""Clips that play inside a notebook and inside the built book.

    show.player(clip)                                        # one video with its sound
    show.player([clip, swapped], caption=["as recorded", "same picture, another sound"])

The files go into the page itself, so that a page is complete without anything beside it.
"""

import base64
import html
import mimetypes
from pathlib import Path

MAX_BYTES = 30_000_000

_STYLE = (
    "display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,{width}px),{width}px));gap:1rem;"
    "align-items:start;margin:0.5rem 0"
)


def player(clips, width=320, caption=""):
    """Video players with sound, beside each other and wrapping on a narrow screen.

    Args:
        clips: a clip, the path of a video, or a list of either.
        width: of each video, in CSS pixels; a narrower screen makes it smaller.
        caption: plain text below the video; for a list of clips a list of as many texts.

    Returns:
        IPython.display.HTML; show it by ending a cell with it.

    Raises:
        FileNotFoundError: a video does not exist.
        ValueError: as many captions as clips were expected, or a video is too large to be put into a page.

    Example:
        >>> player("no-such-file.mp4")
        Traceback (most recent call last):
        FileNotFoundError: no-such-file.mp4 does not exist
    """
    from IPython.display import HTML

    clips = list(clips) if isinstance(clips, list | tuple) else [clips]
    captions = [caption] * len(clips) if isinstance(caption, str) else list(caption)
    if len(captions) != len(clips):
        raise ValueError(f"{len(clips)} clips and {len(captions)} captions: give one caption per clip")
    figures = "".join(_figure(clip, text) for clip, text in zip(clips, captions, strict=True))
    return HTML(f'<div class="avnb-players" style="{_STYLE.format(width=width)}">{figures}</div>')


def _figure(clip, caption):
    path = Path(getattr(clip, "video", clip))
    label = html.escape(caption or f"Clip {getattr(clip, 'id', path.stem)}", quote=True)
    below = f'<figcaption style="font-size:0.9em;margin-top:0.35rem">{label}</figcaption>' if caption else ""
    return (
        '<figure style="margin:0">'
        f'<video controls playsinline preload="metadata" aria-label="{label}" title="{label}"'
        f' style="width:100%;height:auto;border-radius:6px;background:#000" src="{_data_uri(path)}"></video>'
        f"{below}</figure>"
    )


def _data_uri(path):
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(
            f"{path} has {size / 1e6:.0f} MB; a page takes at most {MAX_BYTES / 1e6:.0f} MB: show a shorter cut"
        )
    kind = mimetypes.guess_type(path.name)[0] or "video/mp4"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
