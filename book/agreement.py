"""Numbers that are shown in several places, read back from the built book, from README and from the cards.

Pages carry the name of a quantity beside its number (`show.marked`); README and cards are tables, whose rows and
columns say what their numbers are. A test holds all that have one name to one value.
"""

import re
from pathlib import Path
from typing import NamedTuple

from avnb.questions import HEAR, SEE

ROOT = Path(__file__).resolve().parent.parent
_TOLD = re.compile(r"(-?\d\.\d\d) \((-?\d\.\d\d) to (-?\d\.\d\d)\)")
_SENSES = {(HEAR, "audio"): "audio fidelity", (SEE, "video"): "video fidelity"}
_GIVEN = {"both": "", "sound alone": ", sound alone", "pictures alone": ", pictures alone"}
GLANCE = (  # the columns of the table in README, in the words of the cards
    (HEAR, "factual", "both", "audio"),
    (HEAR, "counterfactual", "both", "audio"),
    (HEAR, "counterfactual", "sound alone", "audio"),
    (SEE, "counterfactual", "both", "video"),
)


class Shown(NamedTuple):
    """A number where it is shown.

    Attributes:
        of: the name of the quantity, with its model.
        value: mean and the bounds of its interval, as text, to two decimals.
        n: clips; None where only the page around it says so.
        where: the page.
    """

    of: str
    value: tuple[str, ...]
    n: str | None
    where: str


def on_page(page, where):
    """The marked numbers of a page.

    Args:
        page: parsed by BeautifulSoup.
        where: its name.
    """
    found = page.select("data[data-of]")
    return [Shown(one["data-of"], _value(one), one["data-n"], where) for one in found]


def unmarked(page):
    """The texts of the boxes of what was found that show an interval without saying of what."""
    found = page.select("aside.avnb-short dd")
    return [one.get_text() for one in found if " to " in one.get_text() and not one.select("data[data-of]")]


def in_readme(text):
    """The numbers of the table of results in README."""
    for name, cells in re.findall(r"^\| `((?:toy|smol)-[\w-]+)`: [^|]*\|(.*)\|$", text, re.MULTILINE):
        for asked, cell in zip(GLANCE, cells.split("|"), strict=True):
            of = _named(name, *asked)
            if name.startswith("smol"):  # asked about each clip's own sound alone
                of = of.replace("counterfactual, sound alone", "sound alone")
            yield Shown(of, _TOLD.search(cell).groups(), None, "README.md")


def on_card(name, text):
    """The numbers of the card of an organism, of questions about one modality."""
    line = r"^\| (\w+ fidelity, [^|]*) \| ([^|]*) \| (\d+) \| [^|]* \|$"
    for quantity, cell, n in re.findall(line, text, re.MULTILINE):
        yield Shown(f"{name}: {quantity}", _TOLD.search(cell).groups(), n, f"card of {name}")
    for row in re.findall(r"^\| (Describe .*) \|$", text, re.MULTILINE):
        question, clips, given, judged, cell, n = row.split(" | ")
        if (question, judged) in _SENSES:
            yield Shown(_named(name, question, clips, given, judged), _TOLD.search(cell).groups(), n, f"card of {name}")


def differing(shown):
    """The quantities that have several values.

    Returns:
        dict: name -> {(value, n): where}.

    Example:
        >>> a = Shown("toy-omni: latent recall", ("0.26", "0.18", "0.35"), "100", "chapter 4")
        >>> b = a._replace(value=("0.25", "0.18", "0.35"), where="chapter 7")
        >>> list(differing([a, b])), list(differing([a, a]))
        (['toy-omni: latent recall'], [])
    """
    places = {}
    for one in shown:
        places.setdefault(one.of, {}).setdefault((one.value, one.n), []).append(one.where)
    return {of: found for of, found in places.items() if not _agree(list(found))}


def _agree(found):
    values, counts = {value for value, _ in found}, {n for _, n in found if n is not None}
    return len(values) == 1 and len(counts) <= 1


def _named(model, question, clips, given, judged):
    return f"{model}: {_SENSES[question, judged]}, {clips}{_GIVEN[given]}"


def _value(mark):
    numbers = (mark[name] for name in ("value", "data-low", "data-high"))
    return tuple("0.00" if number == "-0.00" else number for number in numbers)
