"""Write what follows from code and tables in README, CONTRIBUTING and book: `python book/generated.py [--check]`.

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
from avnb.organisms import cards, contrasts, dose, half, talk, upbringing
from avnb.questions import HEAR, SEE
from avnb.show import explore, stills, told
from avnb.study import claims

ROOT = Path(__file__).resolve().parent.parent
FILES = ("README.md", "CONTRIBUTING.md", "index.md", "book/how-to-run.md", "book/models.md", "book/run-at-scale.md")
PICTURE = ROOT / "book" / "assets" / "organisms.svg"
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
    yield from (("Model", "Base", "Layers", "bfloat16", "4 bit", "Positions (cache)"), ("---",) * 6)
    for one in (one for family in FAMILIES for one in family.checkpoints):
        weights = (f"{memory.weights(one, precision):.1f}" for precision in ("bfloat16", "4bit"))
        base = f"`{one.base.split('/')[1]}`" if one.base else "–"
        yield f"`{one.name}`", base, f"{one.layers}", *weights, f"{one.positions} ({memory.cache(one):.2f})"


def _published():
    """The places of `_config.yml`, and where the first chapter opens on Colab, "" without a repository."""
    from book.notebooks import Places

    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))
    places = Places.of(config)
    place = places.repository.removeprefix("https://github.com/")
    colab = f"{config['launch_buttons']['colab_url']}/github/{place}/blob/{places.branch}/notebooks/00_quickstart.ipynb"
    return places, colab if place else "", config["repository"]["url"]


def doors():
    """README's three ways in: read, Colab, install."""
    places, colab, _ = _published()
    here = "`make book`, then open `_build/html/index.html`"
    read = f"[the book]({places.book}): nothing to install" if places.book else here
    run = f"[the first chapter]({colab}), others from their pages" if colab else "once the repository has an address"
    yield "Read", "Run it on Colab", "Install"
    yield ("---",) * 3
    yield (
        f"{read}; clips play in the page",
        f"{run}; most chapters need no GPU",
        "`pip install .` in a clone, then `avnb --help`; two CPU cores are enough ([how to run](book/how-to-run.md))",
    )


def cards_of_entry():
    """The same on the landing page, as cards."""
    _, colab, _ = _published()
    run = (colab, "url") if colab else ("on-colab", "ref")
    cells = {
        "Read": (
            ("notebooks/00_quickstart", "doc"),
            "Start with one clip and two sounds. Clips play in the page, and nothing needs to be installed.",
        ),
        "Run it on Colab": (run, "Every chapter is a notebook that runs in the browser; most need no GPU."),
        "Install": (
            ("on-your-machine", "ref"),
            "On two CPU cores, with the clips and the small models inside the package.",
        ),
    }
    inside = "\n".join(
        f":::{{grid-item-card}} {title}\n:link: {link}\n:link-type: {kind}\n{text}\n:::\n"
        for title, ((link, kind), text) in cells.items()
    )
    return f"\n::::{{grid}} 1 3 3 3\n:gutter: 2\n\n{inside}::::\n\n"


def clone():
    """The lines that bring the repository, its environment and the book."""
    _, colab, url = _published()
    note = "" if colab else "   # its address, once it has one"
    lines = f"git clone {url}{note}", "cd avnb", "make book   # runs the notebooks, leaves _build/html/index.html"
    return "\n".join(["```bash", *lines, "make test", "```", ""])


def claimed():
    """The study's claims beside what is found here, as on the landing page."""
    yield "Claim", "Verdict", "Here", "The study", "Chapter"
    yield ("---",) * 5
    tables = claims.measure("toy-omni", "toy-omni-balanced", dataset="toybox", n=400, seed=77, each=100)
    for one in claims.claims(tables):
        yield (
            one.claim,
            f"**{one.verdict}**",
            f"{told(one.here, signed=True)}, {one.unit}",
            one.paper,
            f"{one.chapter}",
        )


def scatter():
    """What the picture of the organisms shows, and its words."""
    sweep = dose.results()
    n = len(sweep[["order", "dose", "seed"]].drop_duplicates())
    return (
        f"![{n} organisms between seeing and hearing, by what they learnt first (shape and colour) and how much "
        f"conflict they met (size).]({PICTURE.relative_to(ROOT)})\n\n"
        f"Each of {n} organisms by how well it says what it sees and what it hears (fidelity, 0 to 1), on "
        f"{sweep['clip'].nunique()} clips in conflict. {contrasts.seen_and_heard(sweep, upbringing.results())} What "
        "moves their preference, and what does not, is below; on the landing page of the book the figure answers.\n"
    )


def organisms():
    """The picture itself, for README."""
    return f"{stills.plane(explore.means(dose.results()).to_dict('records'), paper='#ffffff')}\n"


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
    whole = contrasts.sentences(contrasts.contrasts(upbringing.results()))
    return f"{whole}\n{contrasts.sentences(half.carried(half.results()), half.CONTRASTS)}\n"


def analyses():
    """The analyses, with what each asks."""
    yield from (("Analysis", "What it asks"), ("---", "---"))
    yield from ((f"`{name}`", known.about) for name, known in ANALYSES.items())


def scale():
    """How much faster several workers are than one, as `python -m tests.bench.workers` found."""
    head = ("Measured", "Seconds", "Times as fast as one worker"), ("---",) * 3
    rows = (
        (row.measured, f"{row.seconds:.0f}", "" if row.faster != row.faster else f"{row.faster:.2f}")
        for row in speed.workers().itertuples()
    )
    return f"{textwrap.fill(speed.about_workers(), 120)}\n\n{_table((*head, *rows))}"


def clip():
    """What the analyses of one clip cost together and alone, as `python -m tests.bench.together` found."""
    table = speed.together()
    head = ("Measured", *table.columns[1:]), ("---",) * len(table.columns)
    rows = ((name, *(f"{ratio:.2f}" for ratio in ratios), f"{peak:.0f}") for name, *ratios, peak in table.values)
    return f"{textwrap.fill(speed.about_together(), 120)}\n\n{_table((*head, *rows))}"


def goal():
    """What one pass over a clip was to cost, and whether it does."""
    return f"{textwrap.fill(speed.goal_together(), 120)}\n"


def numbers():
    """Every number of the prose that is not computed where it stands, and how it is known."""
    from book.typed import table

    yield from table()


def _table(rows):
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def outdated():
    """Path -> the text that it should hold, where it does not."""
    functions = (rooms, models, sizes, families, shown, glance, replicas, doors, cards_of_entry, clone, claimed)
    functions += (scatter, analyses, clip, goal, scale, numbers)
    tables = {function.__name__: function for function in functions}

    def replaced(match):
        found = tables[match[2]]()
        return f"{match[1]}{found if isinstance(found, str) else _table(found)}{match[3]}"

    found = {ROOT / name: (ROOT / name).read_text(encoding="utf8") for name in FILES}
    wanted = {path: _REGION.sub(replaced, text) for path, text in found.items()} | {PICTURE: organisms()}
    found[PICTURE] = PICTURE.read_text(encoding="utf8") if PICTURE.exists() else ""
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
