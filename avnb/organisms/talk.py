"""What was measured of the organisms that can talk, for their cards and for the chapter about them.

    python -m avnb.organisms.talk        # measures what is not measured yet, and prints the table of the exam

Measuring takes about an hour on two cores, so that the tables come with the package. Each one remembers the adapters
and maps that it was measured with: `table` says so if they are not those of today.
"""

import json
import operator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from avnb import datasets, models, stats
from avnb.analyses import latent, lens, tokens
from avnb.analyses.vocabulary import spelled
from avnb.engine import run
from avnb.engine.capture import Capture
from avnb.errors import AvnbError
from avnb.files import cache_folder, digest, file_hash, whole
from avnb.models import grafted, smollm
from avnb.organisms import language, omni
from avnb.organisms.contrasts import PREFERENCE
from avnb.organisms.exam import Exam
from avnb.organisms.learner import Learner
from avnb.organisms.pool import Pool
from avnb.questions import HEAR, SEE
from avnb.study import compare
from avnb.toybox.sources import SOURCES

FOLDER = Path(__file__).parent / "talk"
NAMES = ("smol-vl", "smol-omni", "smol-omni-balanced")
TOYS = ("toy-vl", "toy-omni", "toy-omni-balanced")  # to stand beside them
SEED = 77  # of the test clips of the exam
N_EXAM = 200  # clips of each kind
N_CLIPS = 48  # of the tables that open a model up, half of them counterfactual
N_ASKED, N_FREE = 24, 4  # of those of new questions
BASE = "SmolLM2-135M-Instruct"  # the language model before anything was learnt

AIMS = {  # of the exam, fixed before training
    ("smol-vl", "video fidelity, pictures alone"): (operator.ge, 0.9),
    ("smol-omni", compare.FACTUAL): (operator.ge, 0.85),
    ("smol-omni", "video fidelity, factual"): (operator.ge, 0.85),
    ("smol-omni", "audio fidelity, sound alone"): (operator.ge, 0.8),
    ("smol-omni", compare.COUNTERFACTUAL): (operator.le, 0.3),
    ("smol-omni", "video fidelity, counterfactual"): (operator.ge, 0.75),
    ("smol-omni-balanced", compare.COUNTERFACTUAL): (operator.ge, 0.8),
    ("smol-omni-balanced", "video fidelity, counterfactual"): (operator.ge, 0.8),
}
YES_OR_NO = {"video": "Is {} in the picture? Answer yes or no.", "audio": "Do you hear {}? Answer yes or no."}
NEVER_ASKED = ("Describe everything.", "What is this video about?", "How many sounds do you hear?", "Tell me a joke.")


def weights(name):
    """A hash of all weights that an organism answers with: one that can talk has a base, and toy-omni's encoders."""
    if name == BASE:
        return smollm.SHA256
    folders = [name, "toy-omni"] if name in NAMES else [name]
    files = [path for folder in folders for path in sorted((models.CHECKPOINTS / folder).glob("*.safetensors"))]
    return digest([*map(file_hash, files), *([smollm.SHA256] if name in NAMES else [])])


def table(name):
    """One of the measured tables: a key of `TABLES`.

    Raises:
        AvnbError: some of it is not there, or was measured with other adapters than today's; says how to measure it.

    Example:
        >>> table("language")["model"].unique().tolist()
        ['SmolLM2-135M-Instruct', 'smol-vl', 'smol-omni', 'smol-omni-balanced']
    """
    found, measured = _stored(name)
    if missing := [model for model in TABLES[name][1] if model not in measured]:
        raise AvnbError(
            f"the table {name!r} of the organisms that can talk was not measured with today's weights of "
            f"{', '.join(missing)}; measure it: python -m avnb.organisms.talk"
        )
    return found


def measure(names=None):
    """Measure what is missing or was measured with other weights; a table is written after each organism.

    Args:
        names: of tables; None for all.
    """
    wanted = [(name, model) for name in names or TABLES for model in TABLES[name][1]]
    for name, model in tqdm([(n, m) for n, m in wanted if m not in _stored(n)[1]], desc="measuring"):
        known, measured = _stored(name)
        take, models_ = TABLES[name]
        found = pd.concat([known, take(_load(model)).assign(model=model)], ignore_index=True)
        found = found.sort_values("model", key=lambda column: column.map(models_.index), kind="stable")
        stored = pa.Table.from_pandas(found, preserve_index=False)
        about = {**stored.schema.metadata, b"avnb": json.dumps(measured | {model: weights(model)}).encode()}
        with whole(FOLDER / f"{name}.parquet") as partial:
            pq.write_table(stored.replace_schema_metadata(about), partial, compression="zstd")


def _stored(name):
    """What was measured with today's weights: its rows, and a hash of the weights for each model."""
    path = FOLDER / f"{name}.parquet"
    if not path.exists():
        return pd.DataFrame(), {}
    stored = pq.read_table(path)
    measured = json.loads(stored.schema.metadata[b"avnb"])
    measured = {model: found for model, found in measured.items() if found == weights(model)}
    rows = stored.to_pandas()
    return rows[rows["model"].isin(measured)], measured


def summary():
    """The exam in one table: the fidelity of each organism's answers, with intervals over clips.

    For the preference, a difference, clips of one source are resampled together.

    Returns:
        DataFrame: model, quantity, mean, low, high, n, aim (text, "" for none), met (None without one).
    """
    exam = stats.summarise(table("exam"), ["model", "quantity"])
    leans = exam["quantity"] == PREFERENCE
    exam.loc[leans, list(stats.Interval._fields)] = [_preference(name) for name in exam.loc[leans, "model"]]
    return _judged(exam)


def _preference(name, seed=0):
    """Of an organism in conflict: whether the answer about the sound names what is heard (1) or what is seen (-1)."""
    values = table("exam").query("model == @name and quantity == @PREFERENCE").set_index("clip")["value"]
    return stats.interval(values, seed, signed=True, clusters=datasets.sources(values.index))


def _judged(exam):
    """The exam with what was aimed at, and whether the mean meets it."""
    aims = [AIMS.get(key) for key in zip(exam["model"], exam["quantity"], strict=True)]
    signs = {operator.ge: "at least", operator.le: "at most"}
    texts = [f"{signs[aim[0]]} {aim[1]:.2f}" if aim else "" for aim in aims]
    met = [aim[0](mean, aim[1]) if aim else None for mean, aim in zip(exam["mean"], aims, strict=True)]
    return exam.assign(aim=texts, met=pd.Series(met, exam.index, dtype=object))


def beside(seed=0):
    """The audio fidelity of the exam as rows of `compare.numbers`, to stand beside other models and published numbers.

    Args:
        seed: of the resampling.
    """
    rows = []
    for name in NAMES[1:]:
        exam = table("exam").query("model == @name").pivot(index="clip", columns="quantity", values="value")
        factual, counterfactual = exam[compare.FACTUAL], exam[compare.COUNTERFACTUAL]
        clusters = datasets.sources(exam.index)
        for quantity, found in (
            (compare.FACTUAL, stats.interval(factual, seed)),
            (compare.COUNTERFACTUAL, stats.interval(counterfactual, seed)),
            (compare.DROP, stats.difference(factual, counterfactual, seed, clusters=clusters)),
        ):
            rows.append({"model": name, "source": compare.HERE, "provenance": "shipped table", "quantity": quantity})
            rows[-1] |= found._asdict()
    return pd.DataFrame(rows)


def effects(name, seed=0):
    """What was found in an organism, so that toy-omni and smol-omni can stand side by side.

    Args:
        name: "toy-omni" or "smol-omni".
        seed: of the resampling.

    Returns:
        dict: what -> `stats.Interval`. All are effects, 0 if there is none.
    """
    exam = table("exam").query("model == @name").pivot(index="clip", columns="quantity", values="value")
    found = {}
    for modality, said in (("audio", "heard"), ("video", "seen")):
        factual, counterfactual = (exam[f"{modality} fidelity, {kind}"] for kind in ("factual", "counterfactual"))
        found[f"what is {said}, named in conflict - named in factual clips"] = _effect(counterfactual, factual, seed)
    found["in conflict, the answer about the sound names what is heard - what is seen"] = _preference(name, seed)
    recalled = latent.recall(table("ranks").query("model == @name"), lens.TOP_K, lens.DEPTH)
    for kind, some in recalled.groupby("kind", sort=False):
        values = some.pivot(index="clip", columns="target", values="value")
        found[f"latent recall - its null, {kind} clips"] = _effect(values["heard"], values["other clips"], seed)
    found["inside, what is heard - what is seen, counterfactual clips"] = _effect(values["heard"], values["seen"], seed)
    shift = table("shift").query("model == @name and first")
    agrees = (shift["base_rank"] == 1).astype(float).groupby([shift["against"], shift["clip"]]).mean()
    found["words for sounds that the base says too - that it says without the picture"] = _effect(
        agrees["base model"], agrees["base, text only"], seed
    )
    kl = shift["kl"].groupby([shift["against"], shift["clip"]]).mean()
    found["nats from itself without the sound - without the clip, words for sounds"] = _effect(
        kl["without audio"], kl["text only"], seed
    )
    return found


def _effect(a, b, seed):
    """Of the same clips, how far one value lies above another; clips of one source are resampled together."""
    return stats.difference(a, b, seed, clusters=datasets.sources(a.index))


def _load(name):
    """A model as it is measured: in float32, on a GPU too."""
    if name == BASE:  # as it was
        return models.wrap(grafted.language_model(), grafted.processor().tokenizer)
    return models.load(f"{name}@float32")


def _clips(n=N_CLIPS):
    return datasets.load("toybox", n=n)


class _AsItIs(omni.Omni):
    """A finished organism, or vision-language base, to a learner that only asks it."""

    def prompter(self, thinker, processor, hears):
        return thinker, processor


def _examined(model):
    """A learner that asks the model, and the exam."""
    learner = Learner(model.hf, model.processor, _AsItIs()).eval()
    return learner, Exam(learner, Pool(cache_folder() / "talk", "test", 3 * N_EXAM, seed=SEED), N_EXAM)


def _exam(model):
    """Fidelity on clips of another seed; the vision-language base is asked what it sees."""
    learner, exam = _examined(model)
    return exam.fidelity(learner) if model.hears else exam.pictures(learner)


def _said(model):
    """What is said to be heard in conflict, and what of it is invented."""
    learner, exam = _examined(model)
    return exam.said(learner)


def _asked(model):
    """Yes-or-no questions, of which no organism was trained on any: once about what is there, once about what is not.

    Returns:
        DataFrame: clip, kind, modality, question, event, present, answer, margin: log p(yes) - log p(no) of its first
        token, since the answer may be neither.
    """
    names, rows = list(SOURCES), []
    words = [spelled(model, word) for word in ("yes", "no")]
    for number, clip in enumerate(_clips(N_ASKED)):
        absent = [name for name in names if name not in {*clip.seen, *clip.heard}]
        for modality, question in YES_OR_NO.items():
            for name, present in ((clip.events(modality)[0], True), (absent[7 * number % len(absent)], False)):
                source = SOURCES[name]
                asked = question.format((source.seen if modality == "video" else source.heard)[0])
                answer = run(model, model.prompt(clip, asked), max_new_tokens=12, capture=Capture(logits=True))[0]
                yes, no = (np.logaddexp.reduce(answer.logits[0, ids].astype(float)) for ids in words)
                rows.append((clip.id, clip.kind, modality, asked, name, present, answer.text, yes - no))
    return pd.DataFrame(rows, columns=["clip", "kind", "modality", "question", "event", "present", "answer", "margin"])


def _free(model):
    """Answers to questions that no organism was trained on, and to a second one after a first."""
    rows = []
    for clip in _clips(N_FREE):
        first = model.caption(clip, SEE)
        turns = f"{SEE}<|im_end|>\n<|im_start|>assistant\n{first}<|im_end|>\n<|im_start|>user\n"
        questions = {question: question for question in NEVER_ASKED} | {
            f"{SEE} […] {second}": turns + second for second in (HEAR, "And what do you hear?", "Why?")
        }
        rows += [(clip.id, clip.kind, q, model.caption(clip, text, max_new_tokens=40)) for q, text in questions.items()]
    return pd.DataFrame(rows, columns=["clip", "kind", "question", "answer"])


def _ranks(model):
    return lens.event_ranks(model, _clips())


def _decoded(model):
    """The most probable token at every audio position after every layer, counted over clips."""
    found = [lens.decode(model, model.prompt(clip, HEAR), top_k=1) for clip in _clips()]
    return pd.concat(found).groupby(["layer", "token_id", "token"]).size().rename("count").reset_index()


def _shift(model):
    return tokens.shift(model, _clips(), base=models.load(models.base_of(model.name)))


TABLES = {  # in the order of their importance
    "exam": (_exam, (*NAMES, *TOYS)),
    "said": (_said, NAMES[1:]),
    "language": (language.forgetting, (BASE, *NAMES)),
    "expected": (language.expected_sounds, (BASE,)),
    "shift": (_shift, (TOYS[1], NAMES[1])),
    "ranks": (_ranks, (TOYS[1], NAMES[1])),
    "decoded": (_decoded, NAMES[1:2]),
    "asked": (_asked, NAMES[1:]),
    "free": (_free, NAMES[1:]),
}


def main():
    """Measure what is missing, and print the exam."""
    measure()
    print(summary().to_string(index=False, float_format="{:.3f}".format))


if __name__ == "__main__":
    main()
