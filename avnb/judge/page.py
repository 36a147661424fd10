"""A page to rate answers by hand: clips, answers, and a button that saves what `validate.read` reads.

The page holds its clips and needs no network; it works by keyboard alone. References are not shown: who rates looks and
listens, as the study's people did, and answers of several models come in one random order.
"""

import csv
import io
import json
import random
from importlib.resources import files

from avnb.errors import AvnbError
from avnb.files import digest, whole
from avnb.judge.by_model import known
from avnb.judge.validate import BETWEEN
from avnb.questions import OTHER
from avnb.show import source

_COLUMNS = ("clip", "modality", "answer", "reference", "other")
_PART = {"audio": "the sound", "video": "the picture"}


def write(table, clips, out, seed=0):
    """Writes the page.

    Args:
        table: with the columns clip, modality ("audio" or "video") and answer, e.g. from `fidelity.measure`; equal
            answers to one clip are rated once, those about which nothing is known not at all.
        clips: the clips that it is about.
        out: the file to write.
        seed: of the order.

    Returns:
        The number of answers on it.

    Raises:
        AvnbError: no answer can be rated.
        ClipError, ValueError: a clip is damaged, or too large for a page.
    """
    by_id = {clip.id: clip for clip in clips}
    asked = dict.fromkeys((row.clip, row.modality, row.answer) for row in table.itertuples())
    asked = [(name, modality, answer) for name, modality, answer in asked if known(by_id[name], modality)]
    if not asked:
        raise AvnbError("no answer can be rated: give clips of which captions or events are known, and answers")
    random.Random(seed).shuffle(asked)
    rows = [
        {"clip": name, "part": _PART[modality], "answer": answer, "csv": _line(by_id[name], modality, answer)}
        for name, modality, answer in asked
    ]
    videos = {name: source(by_id[name]) for name in {row["clip"] for row in rows}}
    data = {"header": ",".join((*_COLUMNS, "rating")), "rows": rows, "clips": videos, "key": f"avnb-{digest(rows)}"}
    page = files("avnb.judge").joinpath("page.html").read_text(encoding="utf8")
    with whole(out) as partial:  # no text can end the script that holds it
        partial.write_text(page.replace("DATA", json.dumps(data).replace("<", "\\u003c"), 1), encoding="utf8")
    return len(rows)


def _line(clip, modality, answer):
    """A row of the table of ratings without its rating, as CSV."""
    captions = (BETWEEN.join(known(clip, one)) for one in (modality, OTHER[modality]))
    with io.StringIO() as text:
        csv.writer(text, lineterminator="").writerow((clip.id, modality, answer, *captions))
        return text.getvalue()
