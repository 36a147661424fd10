"""Clips that play, figures, tables, findings and pieces that answer, inside a notebook and inside the built book.

    show.player(clip)                                        # one video with its sound
    show.player([clip, swapped], caption=["as recorded", "same picture, another sound"])
    show.figure(fig, "Fidelity (0 to 1) by kind of clip, n = 24; lines are 95 % intervals.", data=table)
    show.in_short("It hears, and does not say.", {"recall (0 to 1)": found}, verdict="as in the study")

The files go into the page itself, so that a page is complete without anything beside it.
"""

import base64
import html
import io
import mimetypes
import tempfile
import textwrap
from pathlib import Path

from pandas.api.types import is_float
from PIL import Image

from avnb.media.clip import Clip, read_frames
from avnb.media.editing import mute, swap_audio
from avnb.show.figures import figure, style
from avnb.show.found import counted, in_short, marked, percent, told, worded

__all__ = [
    "player", "figure", "table", "in_short", "told", "counted", "worded", "percent", "marked", "about", "heard", "said",
    "source", "poster", "provenance",
]  # fmt: skip

MAX_BYTES = 30_000_000
_CONTROLS = 44  # CSS pixels below the picture, which the browser's controls would hide otherwise

_NAMES = ("quantity", "kind", "clips", "effect")  # columns of tables that hold names, not texts
_SENSES = {"seen": "video", "heard": "audio"}

_STYLE = (
    "display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,{width}px),{width}px));gap:1rem;"
    "align-items:start;margin:0.5rem 0"
)


def player(clips, width=320, caption=""):
    """Video players with sound, beside each other and wrapping on a narrow screen.

    A clip sounds as a model hears it: with its `audio` if it has one, and not at all if its kind is "mute".

    Args:
        clips: a clip, the path of a video, or a list of either.
        width: of each video, in CSS pixels; a narrower screen makes it smaller.
        caption: plain text below the video; for a list of clips a list of as many texts.

    Returns:
        IPython.display.HTML; show it by ending a cell with it.

    Raises:
        ClipError: a video is missing or damaged.
        ValueError: as many captions as clips were expected, or a video is too large to be put into a page.

    Example:
        >>> player("no-such-file.mp4")
        Traceback (most recent call last):
        avnb.media.reading.UnreachableError: no-such-file.mp4 does not exist; check the path
    """
    from IPython.display import HTML

    clips = list(clips) if isinstance(clips, list | tuple) else [clips]
    captions = [caption] * len(clips) if isinstance(caption, str) else list(caption)
    if len(captions) != len(clips):
        raise ValueError(f"{len(clips)} clips and {len(captions)} captions: give one caption per clip")
    figures = "".join(_figure(clip, text, width) for clip, text in zip(clips, captions, strict=True))
    return HTML(f'<div class="avnb-players" style="{_STYLE.format(width=width)}">{figures}</div>')


def about(clip):
    """What is known of a clip, in a line: its events, else its first captions.

    Example:
        >>> about(Clip("0", "0.mp4", seen=("dog",), audio_captions=("A bell tolls.",)))
        'seen: dog; heard: “A bell tolls.”'
    """
    return "; ".join(f"{word}: {_known(clip, modality)}" for word, modality in _SENSES.items())


def source(clip):
    """The video of a clip as it is heard, as the address of a player that needs no file.

    Raises:
        ClipError: the video is missing or damaged.
        ValueError: it is too large to be put into a page.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _video(_as_heard(clip, Path(folder) / "clip.mp4"))


def poster(clip):
    """The first picture of a clip, as the address of an image that needs no file.

    Raises:
        ClipError: the video is missing or damaged.
    """
    return _poster(clip.video)[0]


def said(clip, name, answer, most=140):
    """What is known of a clip and what a model says of its sound, as the caption of a player; long answers are cut.

    Args:
        clip: the clip.
        name: of the model.
        answer: that it gave when asked what it hears.
        most: characters of the answer.

    Example:
        >>> said(Clip("0", "0.mp4", seen=("dog",), heard=("bell",)), "toy-omni", "I hear barking.")
        'seen: dog; heard: bell. toy-omni, asked what it hears: “I hear barking.”'
    """
    words = textwrap.shorten(answer, most, placeholder=" …")
    if words == "…":  # not every language parts its words
        words = f"{answer.strip()[:most]} …"
    return f"{about(clip)}. {name}, asked what it hears: “{words}”"


def heard(clip):
    """What is known of the sound of a clip: its events, else its first caption."""
    return _known(clip, "audio")


def table(frame, caption):
    """A DataFrame as a table with a caption and without row numbers; a wide one scrolls in its box.

    Names of columns, of quantities and of kinds of clips are told in the words of readers (`worded`).

    Returns:
        IPython.display.HTML.
    """
    from IPython.display import HTML

    looks = 'class="dataframe"'  # what the book's theme knows, also in its dark mode
    named = frame.assign(**{column: frame[column].map(worded) for column in _NAMES if column in frame})
    styled = (
        named.rename(columns=worded)
        .style.hide(axis="index")
        .set_table_attributes(f'{looks} aria-label="{html.escape(caption)}"')
    )
    styled = styled.format(_cell, na_rep="–", escape="html").format_index(escape="html", axis=1)
    return HTML(
        f'{style()}<div class="avnb-table"><p>{html.escape(caption)}</p>'
        f'<div tabindex="0" role="group" aria-label="Table, scrolls sideways if wide">{styled.to_html()}</div></div>'
    )


def provenance(**parameters):
    """The line at the end of a chapter: what it was made with. Returns IPython.display.Markdown."""
    from importlib.metadata import version

    from IPython.display import Markdown

    settings = ", ".join(f"{name} = {html.escape(str(value))}" for name, value in parameters.items())
    packages = ", ".join(f"{name} {version(name)}" for name in ("avnb", "torch", "transformers"))
    return Markdown(f"*Made with {packages}; {settings}*")


def _cell(value):
    """What stands in a cell of a table, of a value whose text is escaped already (or is markup, `marked`)."""
    if isinstance(value, str):
        return value.replace("n = ", "n\u00a0=\u00a0")
    return f"{value:.2f}" if is_float(value) else value


def _known(clip, modality):
    captions = [f"“{text}”" for text in clip.captions(modality)[:1]]
    return ", ".join(clip.events(modality) or captions) or "not known"


def _figure(clip, caption, width):
    name = f"A clip; {about(clip)}" if isinstance(clip, Clip) else f"A clip: {Path(clip).stem}"
    with tempfile.TemporaryDirectory() as folder:
        path = _as_heard(clip, Path(folder) / "clip.mp4") if isinstance(clip, Clip) else Path(clip)
        (poster, (columns, rows)), source = _poster(path), _video(path)
    label = html.escape(caption or name, quote=True)
    below = (
        f'<figcaption style="font-size:0.9em;margin-top:0.35rem;overflow-wrap:anywhere">{label}</figcaption>'
        if caption
        else ""
    )
    return (
        '<figure style="margin:0">'
        f'<video controls playsinline preload="metadata" aria-label="{label}" title="{label}" poster="{poster}"'
        f' style="width:100%;aspect-ratio:{width}/{width * rows / columns + _CONTROLS:.0f};object-position:top;'
        f'border-radius:6px;background:#000" src="{source}"></video>'
        f"{below}</figure>"
    )


def _as_heard(clip, out):
    if clip.kind == "mute":
        return mute(clip.video, out)
    return swap_audio(clip.video, clip.audio, out, fit="pad") if clip.audio else Path(clip.video)


def _poster(path):
    """The first frame, and its size: phones, printers and browsers that load late would show a black box."""
    frames, _ = read_frames(path, max_frames=1, max_pixels=640 * 480)
    with io.BytesIO() as file:
        Image.fromarray(frames[0]).save(file, "JPEG", quality=75)
        return _data_uri("image/jpeg", file.getvalue()), frames[0].shape[1::-1]


def _video(path):
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(
            f"{path} has {size / 1e6:.0f} MB; a page takes at most {MAX_BYTES / 1e6:.0f} MB: show a shorter cut"
        )
    return _data_uri(mimetypes.guess_type(path.name)[0] or "video/mp4", path.read_bytes())


def _data_uri(kind, content):
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
