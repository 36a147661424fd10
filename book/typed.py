"""Every number of the prose that is not computed where it stands, and how it is known.

`book/generated.py` writes the list into CONTRIBUTING.md; a test holds the prose to it: a number that is typed into
README, book or a chapter without a row here fails, and so does a row whose number is not, or no longer, there.
"""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_NUMBER = re.compile(r"(?<![\w.$/])[-−]?\d+(?:[.,]\d+)+(?![\w/]|\.\d)|(?<![\w.])\d+ ?%")
_MARKDOWN = re.compile(r"^# %% \[markdown\]\n(.*?)(?=^# %%|\Z)", re.MULTILINE | re.DOTALL)
_GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)
_EVERYWHERE = {"95 %"}  # the level of all intervals


class Typed(NamedTuple):
    """Numbers that are typed.

    Attributes:
        file: where, from the root.
        numbers: as they stand there.
        about: what they are.
        known: the command that makes them, or where they are from.
    """

    file: str
    numbers: tuple[str, ...]
    about: str
    known: str


TYPED = (
    Typed("README.md", ("3.11", "2.0"), "versions of Python and of the licence", "`pyproject.toml`, `LICENSE`"),
    Typed("book/how-to-run.md", ("3.11",), "version of Python", "`pyproject.toml`"),
    Typed("index.md", ("2604.02605",), "number of the study", "the study"),
    Typed("book/faq.md", ("1.5",), "seconds by which a sound is late", "set in chapter 2"),
    Typed("book/faq.md", ("0.1", "0.3", "0.5", "2.8"), "an example of the number of clips", "the formula beside it"),
    Typed("book/glossary.md", ("2.72",), "the base of the natural logarithm", "mathematics"),
    Typed(
        "book/how-to-run.md",
        ("0.86", "0.80", "0.91", "0.79"),
        "agreement of the judge by words with that by events",
        "`avnb judge`, answers of the organisms, n = 200",
    ),
    Typed(
        "notebooks/01_data_curation.py",
        ("50,000", "2,000", "0.4", "1.4", "0.046", "-0.066", "0.006", "0.011", "0.023", "0.058"),
        "curation of a large set",
        "`python -m tests.bench.curation`",
    ),
    Typed("notebooks/02_caption_fidelity.py", ("1.5",), "seconds by which a sound is late", "set in the chapter"),
    Typed(
        "notebooks/02_caption_fidelity.py", ("0.82", "0.73"), "agreement of the study's judge with people", "the study"
    ),
    Typed("notebooks/04_logit_lens.py", ("0.9",), "an example", "no measurement"),
    Typed(
        "notebooks/05_attention_knockout.py", ("0.01",), "how well curves could be read off plots", "`avnb/paper.json`"
    ),
    Typed(
        "notebooks/08_origin_of_the_bias.py",
        ("0.7", "0.1", "0.2"),
        "shares of the last stage",
        "`organisms/recipes.py`",
    ),
    Typed(
        "notebooks/08_origin_of_the_bias.py",
        ("10 %", "40 %"),
        "doses to try, and that of the treatment",
        "set in the chapter",
    ),
    Typed(
        "notebooks/09_a_model_that_can_talk.py",
        ("49,152",),
        "size of the vocabulary",
        "the model's configuration",
    ),
    Typed(
        "notebooks/10_do_the_benchmarks_ask.py",
        ("5,302", "2,290", "1,136", "70 %", "59 %", "50 %", "98 %"),
        "questions of AVHBench, by their text alone",
        "`benchmarks.load` and `traps`, as the chapter shows",
    ),
    Typed(
        "notebooks/one_prefill.py", ("0.0001", "100%"), "tolerance of the tests; width of a picture", "`tests/engine`"
    ),
)


def files():
    """The files whose prose is held to the list."""
    some = [
        ROOT / "README.md",
        ROOT / "index.md",
        *sorted((ROOT / "book").glob("*.md")),
        *sorted((ROOT / "notebooks").glob("*.py")),
    ]
    return {path.relative_to(ROOT).as_posix(): path for path in some}


def found(path):
    """The numbers that are typed into the prose of a file: decimals, thousands and percentages."""
    text = path.read_text(encoding="utf8")
    text = "\n".join(_MARKDOWN.findall(text)) if path.suffix == ".py" else _GENERATED.sub("", text)
    return {one.group() for one in _NUMBER.finditer(text)} - _EVERYWHERE


def table():
    """The list as a table."""
    yield from (("Where", "Numbers", "What they are", "How they are known"), ("---",) * 4)
    for row in TYPED:
        yield f"`{row.file}`", ", ".join(row.numbers), row.about, row.known
