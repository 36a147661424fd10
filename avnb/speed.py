"""What the engine costs, as `make bench` measured it: tables of ratios for the book.

The numbers lie in `speed.json`, a copy of what the bench wrote; only ratios within one process are compared.
"""

import json
from functools import cache
from pathlib import Path
from statistics import median

import pandas as pd

GPU = Path(__file__).parent / "gpu.json"  # a copy of what `python -m tests.gpu` wrote; not there until it has run
WORKERS = Path(__file__).parent / "workers.json"  # likewise, of `python -m tests.bench.workers`
TOGETHER = Path(__file__).parent / "together.json"  # of `python -m tests.bench.together`
GOAL = 2.5  # times one plain generate: what all five analyses of a clip were to cost in one pass, at most
_CLOCKS = {"cpu": "processor time", "wall": "wall time"}
METHODS = {
    "ours": "avnb",
    "ours_capture": "avnb, attention recorded",
    "hooks": "hooks + generate",
    "nnsight": "nnsight",
}


@cache
def measured():
    """The whole record: machine, model, whether all methods agreed, and one entry per measured cell."""
    return json.loads((Path(__file__).parent / "speed.json").read_text(encoding="utf8"))


def cells():
    """DataFrame: method, prompt (tokens), new (tokens), conditions, ratio (to one plain generate), scaled (True where
    a method that runs condition by condition was timed on a few and scaled up), memory (peak above the model, MiB)."""
    table = pd.DataFrame([cell for cell in measured()["cells"] if "error" not in cell])
    table = table.rename(columns={"prompt_tokens": "prompt", "extrapolated": "scaled", "peak_mib": "memory"})
    return table[["method", "prompt", "new", "conditions", "ratio", "scaled", "memory"]]


def costs():
    """DataFrame: prompt, new, conditions, and a column per method: its time in units of one plain generate.

    A star marks times of methods that run condition by condition: timed on a few conditions and scaled up.
    """
    table = cells().query("method in @METHODS")
    table = table.assign(shown=[f"{r:.2f}{'*' if s else ''}" for r, s in zip(table.ratio, table.scaled, strict=True)])
    wide = table.pivot(index=["prompt", "new", "conditions"], columns="method", values="shown")
    return wide.reindex(columns=list(METHODS)).rename(columns=METHODS).fillna("–").reset_index()


def memory():
    """DataFrame: prompt (tokens), peak memory above the model in MiB: all attention shares recorded by the engine,
    against transformers with `output_attentions=True`, and how many times less."""
    table = cells().query("conditions == 1").groupby(["prompt", "method"])["memory"].min().unstack()
    table = table[["ours_capture", "attentions"]].assign(times=table["attentions"] / table["ours_capture"])
    names = {"ours_capture": "avnb", "attentions": "transformers"}
    return table.rename(columns=names).round().astype("Int64").reset_index()


def not_run():
    """Why cells of the bench did not run, one sentence each."""
    return [
        f"{c['method']} at about {c['tokens']} prompt tokens: {c['error']}."
        for c in measured()["cells"]
        if "error" in c
    ]


def about():
    """The machine and the model of the bench, in a sentence."""
    machine, model = measured()["machine"], measured()["model"]
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['dtype']}; a random Qwen2.5-Omni thinker of "
        f"{model['layers']} layers, width {model['width']}, vocabulary {model['vocabulary']}; "
        f"{_CLOCKS[measured()['cells'][0]['clock']]} of {machine['threads']} thread(s); "
        f"torch {machine['versions']['torch']}, "
        f"transformers {machine['versions']['transformers']}"
    )


def workers():
    """DataFrame: what `python -m tests.bench.workers` measured; empty if nothing was.

    measured (with how many workers, or what else), seconds (median of the runs), faster (times as fast as one worker;
    NaN for what is no number of workers).
    """
    if not WORKERS.exists():
        return pd.DataFrame(columns=["measured", "seconds", "faster"])
    record = json.loads(WORKERS.read_text(encoding="utf8"))
    named = {"process": "in one process, without workers", "estimate": "the same, as `avnb estimate` foretold it"}
    cells = [*named, *sorted(record["seconds"].keys() - named, key=int)]
    rows = [
        {
            "measured": named.get(cell) or f"{cell} worker{'s' if cell != '1' else ''}",
            "seconds": median(record["seconds"][cell]),
            "faster": record["faster"].get(cell),
        }
        for cell in cells
    ]
    return pd.DataFrame(rows).astype({"faster": float})


def about_workers():
    """The study and the machine behind `workers()`, in a sentence; that nothing was measured, if so."""
    if not WORKERS.exists():
        return "**Not measured** yet; `python -m tests.bench.workers` does that."
    record = json.loads(WORKERS.read_text(encoding="utf8"))
    study, machine = record["study"], record["machine"]
    most = max(record["faster"], key=int)
    single = [one / many for one, many in zip(record["seconds"]["1"], record["seconds"][most], strict=True)]
    return (
        f"`{study['analysis']}` of {study['model']}, {study['clips']} clips, {_runs(study['repeats'])} of each; "
        f"{machine['cpu']}, {machine['cores']} cores, {machine['device']}; one thread for each worker; with "
        f"{most}, single runs were {min(single):.2f} to {max(single):.2f} times as fast."
    )


def together():
    """DataFrame: what the analyses of one clip cost, as `python -m tests.bench.together` measured it.

    measured (an analysis alone, or all in one pass), a column per vocabulary (times one plain generate: in proportion
    to the model's width, and the real one), peak MiB (above the model, with the former).
    """
    small, large = json.loads(TOGETHER.read_text(encoding="utf8"))["cells"]
    named = {"together": "all five in one pass", "generate": "one plain generate, for one question"}
    alone = [name for name in small["ratio"] if name not in (*named, "caption")]
    rows = [
        (named.get(name, name), small["ratio"][name], large["ratio"][name], small["peak_mib"][name])
        for name in ("generate", *alone, "together")
    ]
    one_by_one = (sum(cell["ratio"][name] for name in alone) for cell in (small, large))
    rows.insert(-1, ("all five, one after the other", *one_by_one, max(small["peak_mib"][name] for name in alone)))
    columns = (f"x generate, vocabulary of {cell['vocabulary']:,}" for cell in (small, large))
    return pd.DataFrame(rows, columns=["measured", *columns, "peak MiB"])


def about_together():
    """The prompt, the model and the machine behind `together()`, in a sentence."""
    record = json.loads(TOGETHER.read_text(encoding="utf8"))
    cell, settings, machine = record["cells"][0], record["settings"], record["machine"]
    same = "the same tokens" if all(one["agree"] for one in record["cells"]) else "other tokens"
    return (
        f"{cell['prompt_tokens']:,} prompt positions, {settings['layers']} layers of width {settings['width']}, "
        f"{settings['new']} new tokens; {machine['cpu']}, {_CLOCKS[settings['clock']]} of one thread, "
        f"{_runs(settings['repeats'])}; `fidelity` and `knockout` gave {same} in one pass as one by one."
    )


def _runs(n):
    return "1 run" if n == 1 else f"{n} runs"


def goal_together():
    """What one pass was to cost, and whether it does, in sentences."""
    record = json.loads(TOGETHER.read_text(encoding="utf8"))
    told = [
        f"{'met' if cell['ratio']['together'] <= GOAL else 'missed'} with a vocabulary of {cell['vocabulary']:,} "
        f"(**{cell['ratio']['together']:.2f}**)"
        for cell in record["cells"]
    ]
    repeats = record["settings"]["repeats"]
    timed = "the one run that was timed, so without an interval" if repeats == 1 else f"the median of {repeats} runs"
    stricter = " and ".join(f"{cell['ratio_to_caption']['together']:.2f}" for cell in record["cells"])
    return (
        f"The goal was all five in one pass in at most **{GOAL} times** one plain generate. In {timed}, it is "
        f"{', and '.join(told)}. The plain generate of this model projects every position of the prompt onto the "
        f"vocabulary; in units of one that projects the last alone, the pass costs {stricter}."
    )


def on_gpu():
    """DataFrame: what `python -m tests.gpu` measured on a GPU; empty if nothing was.

    size, tokens (of the prompt), conditions, method (with its attention and precision), ratio (to one plain generate of
    the same attention and precision), memory (peak above the weights, GB) and weights (GB).
    """
    if not GPU.exists():
        return pd.DataFrame()
    cells = [cell for cell in json.loads(GPU.read_text(encoding="utf8"))["cells"] if "error" not in cell]
    rows = [
        {
            "size": cell["size"],
            "tokens": cell["prompt_tokens"],
            "conditions": cell["conditions"],
            "method": ", ".join(filter(None, (METHODS[cell["method"]], cell["attention"], cell["quantize"]))),
            "ratio": round(cell["ratio"], 2),
            "memory": round(cell["peak_gb"], 2),
            "weights": round(cell["weights_gb"], 2),
        }
        for cell in cells
    ]
    return pd.DataFrame(rows)


def about_gpu():
    """The card and what did not run on it, in a sentence or two; that nothing was measured, if so."""
    if not GPU.exists():
        return "On a GPU nothing was measured here: **not measured**; `python -m tests.gpu` measures it and says where."
    record = json.loads(GPU.read_text(encoding="utf8"))
    machine, failed = record["machine"], [cell for cell in record["cells"] if "error" in cell]
    lacks = [
        f"{cell['size']}, {cell['attention']}, {cell['quantize'] or 'bfloat16'}: {cell['error']}" for cell in failed
    ]
    same = "" if record["agreement"] is None else f" Engine and hooks share {record['agreement']:.0%} of the tokens."
    return f"Measured on {machine['card']}, torch {machine['versions']['torch']}, random weights in bfloat16.{same}" + (
        f" Did not run: {'; '.join(dict.fromkeys(lacks))}." if lacks else ""
    )
