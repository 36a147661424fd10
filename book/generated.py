"""Write the tables of README, CONTRIBUTING and book that follow from the code: `python book/generated.py [--check]`.

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`; what is between is replaced.
"""

import argparse
import ast
import re
import sys
import textwrap
from collections import Counter
from importlib import import_module
from pathlib import Path

import yaml

from avnb import speed
from avnb.analyses import ANALYSES
from avnb.models import CHECKPOINTS, base_of, memory, shipped, talking
from avnb.models.families import FAMILIES
from avnb.organisms import cards, contrasts, talk, upbringing
from avnb.questions import HEAR, SEE

ROOT = Path(__file__).resolve().parent.parent
FILES = ("README.md", "CONTRIBUTING.md", "book/how-to-run.md", "book/models.md", "book/run-at-scale.md")
sys.path.insert(0, str(ROOT))  # for the tests, whose marks are read
_REGION = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
CHECKS = ("keys", "values", "modules", "template", "positions", "segments", "engine", "analyses")
_HISTORIES = {
    "toy-omni": "vision first, then clips without conflict",
    "toy-omni-balanced": "the same, half the clips in conflict",
    "toy-omni-scratch": "not vision first, without conflict",
    "smol-omni": "as `toy-omni`, with a pretrained language model",
    "smol-omni-balanced": "the same, half the clips in conflict",
}
_GPUS = (16, 24, 40, 80)  # GB of memory of usual cards


def rooms():
    """The rooms of the package, with what each is for: the first sentence of its docstring."""
    yield from (("Room", "What it is for"), ("---", "---"))
    package = ROOT / "avnb"
    for path in sorted([*package.glob("*/__init__.py"), *package.glob("[!_]*.py")], key=lambda path: path.parts):
        name = f"{path.parent.name}/" if path.name == "__init__.py" else path.name
        sentence = re.split(r"\.\s|\n\n", ast.get_docstring(ast.parse(path.read_text(encoding="utf8"))), maxsplit=1)[0]
        yield f"`avnb/{name}`", " ".join(sentence.split()).rstrip(".")


def models():
    """The models that can be named: what they take, how large they are, and what was done with them."""
    yield from (("Model", "Takes", "Weights", "Runs on", "Status"), ("---",) * 5)
    for name in shipped():
        takes = "video, audio" if name in shipped(hearing=True) else "video"
        size = sum(path.stat().st_size for path in (CHECKPOINTS / name).glob("*.safetensors")) / 1e6
        yield f"`{name}`", takes, f"{size:.0f} MB", "two CPU cores", "trained here, measured here, ships"
    for name in talking():
        takes = "video" if base_of(name) == name else "video, audio"
        size = sum(path.stat().st_size for path in (CHECKPOINTS / name).glob("*.safetensors")) / 1e6
        weights, status = (
            f"{size:.0f} MB, and a language model: `avnb fetch smol`",
            "adapters trained and measured here",
        )
        yield f"`{name}`", takes, weights, "two CPU cores", status
    for family in FAMILIES:
        for one in family.checkpoints:
            gpu = next((f"a GPU of {gb} GB" for gb in _GPUS if gb > memory.gigabytes(one, "bfloat16")), "several GPUs")
            size = f"{memory.weights(one, 'bfloat16'):.0f} GB"
            yield f"`{one.name}`", family.takes, size, gpu, "loads; **weights not measured here**"


def families():
    """Every published family: what it takes, its licence, and what was shown of its code path without the weights."""
    yield from (("Family", "Takes", "Licence", "Shown without the weights"), ("---",) * 4)
    yield from ((family.name, family.takes, family.licence, family.verified) for family in FAMILIES)


def shown():
    """How many tests show which check of which family, by their mark `shows`.

    Raises:
        ValueError: a mark names a check or a family that is not known.
    """
    cells, names = Counter(), [family.name for family in FAMILIES]
    for path in sorted((ROOT / "tests" / "models").rglob("test_*.py")):
        module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for test in vars(module).values():
            marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "shows"]
            for check, *shown in (mark.args for mark in marks if test.__module__ == module.__name__):
                if check not in CHECKS or not set(shown) <= set(names):
                    raise ValueError(
                        f"{path.name}: {test.__name__} shows {check!r} of {shown}; see CHECKS and FAMILIES"
                    )
                cells.update((check, family) for family in shown)
    yield from (("Family", *CHECKS), ("---",) * (1 + len(CHECKS)))
    yield from ((name, *(f"{cells[check, name] or '–'}" for check in CHECKS)) for name in names)


def sizes():
    """What published models take by their true configurations: weights, and a 10 s clip of 640 x 360 with sound."""
    yield from (("Model", "Base", "Layers", "bfloat16", "4 bit", "Positions of 10 s", "Cache of 10 s"), ("---",) * 7)
    for one in (one for family in FAMILIES for one in family.checkpoints):
        weights = (f"{memory.weights(one, precision):.1f} GB" for precision in ("bfloat16", "4bit"))
        base = one.base.split("/")[1] if one.base else "–"
        yield f"`{one.name}`", base, f"{one.layers}", *weights, f"{one.positions}", f"{memory.cache(one):.2f} GB"


def reading():
    """Where the book is read: its address, once it has one."""
    address = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))["html"]["baseurl"]
    if address:
        return f"**[Read the book]({address})**: nothing to install, clips play in the page.\n"
    return "**Read the book:** `make book`, then open `_build/html/index.html`; clips play in the page.\n"


def glance():
    """What the organisms say, in four numbers each: those of their cards."""
    yield "", '"hear": own sound', '"hear": another sound', '"hear": sound alone', '"see": another sound'
    yield ("---",) * 5
    whole = cards.results().set_index(["question", "clips", "given", "judged"])
    asked = (
        (HEAR, "factual", "both", "audio"),
        (HEAR, "counterfactual", "both", "audio"),
        (HEAR, "counterfactual", "sound alone", "audio"),
        (SEE, "counterfactual", "both", "video"),
    )
    exam = talk.summary().set_index(["model", "quantity"])[["mean", "low", "high"]]
    quantities = (
        "audio fidelity, factual",
        "audio fidelity, counterfactual",
        "audio fidelity, sound alone",
        "video fidelity, counterfactual",
    )
    for name, history in _HISTORIES.items():
        if name in whole:
            own, other, alone, seen = (whole.loc[key, name] for key in asked)
        else:
            own, other, alone, seen = (cards.as_text(*exam.loc[(name, quantity)]) for quantity in quantities)
        yield f"`{name}`: {history}", own, f"**{other}**", alone, seen


def replicas():
    """What repeated upbringings agree on."""
    return f"{contrasts.sentences(contrasts.contrasts(upbringing.results()))}\n"


def analyses():
    """The analyses, with what each asks."""
    yield from (("Analysis", "What it asks"), ("---", "---"))
    yield from ((f"`{name}`", known.about) for name, known in ANALYSES.items())


def scale():
    """How much faster several workers are than one, as `python -m tests.bench.workers` found."""
    yield speed.about_workers(), "Seconds", "Times as fast as one worker"
    yield ("---",) * 3
    for row in speed.workers().itertuples():
        yield row.measured, f"{row.seconds:.0f}", "" if row.faster != row.faster else f"{row.faster:.2f}"


def clip():
    """What the analyses of one clip cost together and alone, as `python -m tests.bench.together` found."""
    table = speed.together()
    yield speed.about_together(), *table.columns[1:]
    yield ("---",) * len(table.columns)
    for name, *ratios, peak in table.values:
        yield name, *(f"{ratio:.2f}" for ratio in ratios), f"{peak:.0f}"


def goal():
    """What one pass over a clip was to cost, and whether it does."""
    return f"{textwrap.fill(speed.goal_together(), 120)}\n"


def numbers():
    """Every number of the prose that is not computed where it stands, and how it is known."""
    from book.typed import table

    yield from table()


def outdated():
    """Path -> the text that it should hold, where it does not."""
    functions = (rooms, models, sizes, families, shown, glance, replicas, reading, analyses, clip, goal, scale, numbers)
    tables = {function.__name__: function for function in functions}

    def replaced(match):
        found = tables[match[2]]()
        rows = found if isinstance(found, str) else "".join(f"| {' | '.join(row)} |\n" for row in found)
        return f"{match[1]}{rows}{match[3]}"

    found = {ROOT / name: (ROOT / name).read_text(encoding="utf8") for name in FILES}
    wanted = {path: _REGION.sub(replaced, text) for path, text in found.items()}
    return {path: text for path, text in wanted.items() if text != found[path]}


def main():
    """Write, or with --check only report, what is out of date."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a table is out of date")
    check = parser.parse_args().check
    stale = outdated()
    for path, text in stale.items():
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
        if not check:
            path.write_text(text, encoding="utf8")
    return bool(check and stale)


if __name__ == "__main__":
    sys.exit(main())
