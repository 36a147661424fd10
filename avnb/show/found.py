"""What a chapter found, as a box on its first screen."""

import html
import math
import re

from markupsafe import Markup, escape

from avnb.show.figures import style

_WORDS = {
    "counterfactual": "conflicting",
    "factual": "ordinary",
    "its null": "chance",
    "null": "chance",
    "baseline": "nothing blocked",
    "top_k": "top k",
    "kept_low": "kept, low",
    "kept_high": "kept, high",
}


def in_short(finding, numbers=(), verdict="", clip=None):
    """A box that says in a sentence what was found, and below it n, the intervals and the verdict, beside a clip.

    Args:
        finding: a sentence or two, with the name of the model; computed, so that it holds for any model.
        numbers: quantity -> `stats.Interval`, or text, best of `told`; quantities name their unit.
        verdict: what follows for the study's claim, in a few words.
        clip: players of `show.player`, put beside the text.

    Returns:
        IPython.display.HTML.

    Example:
        >>> from avnb.stats import Interval
        >>> box = in_short("The model hears.", {"recall (0 to 1)": Interval(0.5, 0.25, 0.75, 8)}, "as in the study")
        >>> print(box.data.split("<dl>")[1].split("</div>")[0])
        <dt>recall (0 to 1)</dt><dd>0.50 (0.25 to 0.75), n = 8</dd></dl><p><b>Verdict:</b> as in the study</p>
    """
    from IPython.display import HTML

    rows = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{escape(value if isinstance(value, str) else told(value))}</dd>"
        for name, value in dict(numbers).items()
    )
    return HTML(
        f'{style()}<aside class="avnb-short" aria-label="In short"><div class="avnb-found">'
        f'<p class="avnb-name">In short</p><p><b>{html.escape(finding)}</b></p>'
        + (f"<dl>{rows}</dl>" if rows else "")
        + (f"<p><b>Verdict:</b> {html.escape(verdict)}</p>" if verdict else "")
        + f"</div>{clip.data if clip else ''}</aside>"
    )


def percent(share):
    """A share as a percentage that agrees with the two decimals it has elsewhere.

    Example:
        >>> f"{0.735:.2f}", percent(0.735)
        ('0.73', '73%')
    """
    return f"{round(share, 2):.0%}"


def worded(name):
    """The name of a quantity or of a kind of clips as readers know it; the code keeps the study's words.

    Example:
        >>> worded("audio fidelity, counterfactual - factual")
        'audio fidelity, conflicting - ordinary'
    """
    return re.sub(rf"\b({'|'.join(_WORDS)})\b", lambda found: _WORDS[found[0]], name) if isinstance(name, str) else name


def counted(ns, what="clips"):
    """Over how many clips numbers are that stand beside each other.

    Example:
        >>> counted([100, 100]), counted(n for n in (24, 100, 100))
        ('n = 100 clips', 'n = 24 to 100 clips')
    """
    ns = sorted(map(int, ns)) or [0]
    least, most = ns[0], ns[-1]
    return f"n = {least} {what}" if least == most else f"n = {least} to {most} {what}"


def told(interval, signed=False, of=""):
    """An interval as text; one clip has none, and what is not known is a dash.

    Args:
        interval: `stats.Interval`.
        signed: a change or difference, with its sign.
        of: the name of the quantity, as in `marked`; without it, nothing holds the number to those of other pages.

    Example:
        >>> from avnb.stats import Interval
        >>> told(Interval(0.5, 0.25, 0.75, 8)), told(Interval(0.5, 0.25, 0.75, 8), signed=True)
        ('0.50 (0.25 to 0.75), n = 8', '+0.50 (+0.25 to +0.75), n = 8')
        >>> told(Interval(math.nan, math.nan, math.nan, 8))
        '–'
    """
    mean, low, high, n = interval
    if math.isnan(mean):
        return "–"
    form = "+.2f" if signed else ".2f"
    limits = "" if math.isnan(low) else f" ({low:{form}} to {high:{form}})"
    text = f"{mean:{form}}{limits}, n = {n}"
    return marked(text, interval, of) if of else text


def marked(text, interval, of):
    """A text that shows a number, with the name of the quantity in its markup.

    The same name may not stand on two pages with different numbers: a test of the book reads the marks
    (`book/agreement.py`). A quantity that is measured on other clips has another name.

    Args:
        text: what is shown.
        interval: `stats.Interval` that it shows.
        of: model and quantity, e.g. "toy-omni: audio fidelity, counterfactual".

    Returns:
        HTML, for boxes, tables and markdown.

    Example:
        >>> from avnb.stats import Interval
        >>> print(marked("0.5", Interval(0.5, 0.25, 0.75, 8), "toy-omni: latent recall"))
        <data value="0.50" data-low="0.25" data-high="0.75" data-n="8" data-of="toy-omni: latent recall">0.5</data>
    """
    mean, low, high, n = interval
    return Markup(
        '<data value="{:.2f}" data-low="{:.2f}" data-high="{:.2f}" data-n="{}" data-of="{}">{}</data>'
    ).format(mean, low, high, n, of, text)
