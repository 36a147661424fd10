"""Token distribution shift: would a model that cannot hear have said the same words?

    >>> model = avnb.load("toy-omni")
    >>> table = shift(model, avnb.datasets.load("toybox", n=8), base=model)
    >>> table["against"].unique().tolist()
    ['base model', 'without audio', 'other audio', 'text only', 'base, text only']

An AVLLM answers greedily. The same tokens are then forced through its vision-language base, which sees the pictures of
the clip, and at every step the two next-token distributions p (AVLLM) and q (base) are compared:

    KL(p || q) = sum over tokens of p log(p / q), in nats,    and the rank that q gives to the token that was said.

A token of base rank 1 is **unshifted**: the base would have said it too. Ranks 2 and 3 are **marginal**, all others
**shifted**. Three comparisons of the AVLLM with itself give the numbers a meaning: without the audio, with the audio of
another clip, and with the question alone. What its base says to the question alone, without the pictures, is the
control of the base's agreement: only the pictures differ.

How the tokens that name audio events are found: what the judge finds named in an answer, be it there (matched) or not
(invented), is looked for in the part that is about the sound (`judge.parts`); every token that holds a letter of a word
that names it counts. Of clips with captions alone, the judge by words takes every word of that part that carries
meaning. Forcing hands over the beginning of the answer, so that "barking" costs little after "a dog": the first token
that names its event is marked, too.
"""

import logging
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from avnb import judge as judges
from avnb import stats
from avnb.analyses.jobs import Job, over
from avnb.engine import run
from avnb.engine.capture import Capture
from avnb.judge.parts import about
from avnb.judge.words import by_stem, sounds_like
from avnb.models import base_of, load
from avnb.questions import HEAR, MAX_NEW_TOKENS
from avnb.text import stems

BASELINES = ("base model", "without audio", "other audio", "text only", "base, text only")
BINS = ("unshifted", "marginal", "shifted")  # base rank 1, 2 to 3, above
GROUPS = ("all", "audio events", "first of an event", "right", "hallucinated", "as many others")


_ANSWER = ["step", "token", "token_id", "event", "is_audio", "first", "right", "hallucinated"]
_SHIFT = ["kl", "kl_reverse", "entropy", "base_entropy", "base_rank", "base_token", "bin"]
_COLUMNS = ["clip", "kind", "question", "against", *_ANSWER, *_SHIFT]

log = logging.getLogger(__name__)


def shift(
    model, clips, question=HEAR, *, base=None, judge="events", max_new_tokens=MAX_NEW_TOKENS, seed=0
) -> pd.DataFrame:
    """How far every token of a model's answers is from what its base and other baselines would say (figure 7).

    Args:
        model: an AVLLM from `avnb.load`.
        clips: clips; one with bad media is reported and left out (`jobs.over`).
        question: about the sound.
        base: its vision-language base, a name for `avnb.load` or a model; it gets the pictures only, the same frames
            as the model. None is the one that belongs to the model (`models.base_of`).
        judge: who finds what an answer names, a name of `avnb.judge`; nothing where it cannot judge a clip.
        max_new_tokens: the longest answer.
        seed: which clip lends the sound for "other audio", one in which nothing is heard that the clip shows or sounds
            like.

    Returns:
        DataFrame, one row per clip, baseline and answer token (special tokens are left out): clip, kind, question,
        against (one of `BASELINES`), step (0 = first), token (its text), token_id, event (that its word names or None),
        is_audio (it has an event), first (it is the first token of its event), right (the event is heard),
        hallucinated (the event is not heard), kl (model || baseline) and kl_reverse (baseline || model) in nats,
        entropy (of the model) and base_entropy (of the baseline) in nats, base_rank (1 = the baseline's most probable
        token), base_token (which one that is), bin (one of `BINS`). All over the tokens that model and base have in
        common (`common_tokens`).

    Raises:
        JudgeError: there is no such judge.
        ValueError: model and base have different tokens, or no base is known; names them.

    Source: arXiv 2604.02605, figure 7, after arXiv 2312.01552.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> table = shift(model, avnb.datasets.load("toybox", n=8), base=model)
        >>> len(table) == 5 * len(table.groupby(["clip", "step"]))
        True
    """
    judges.named(judge)  # before the model is asked
    base = base_of(model.name) if base is None else base
    base = load(base) if isinstance(base, str) else base
    common = common_tokens(model, base)
    baselines = dict(zip(BASELINES, (base, model, model, model, base), strict=True))
    modalities = dict(zip(BASELINES, (("video",), ("video",), ("video", "audio"), (), ()), strict=True))

    def compared(job):
        clip = job.clip
        answer, said = _scored(model, model.prompt(clip, question), common, max_new_tokens=max_new_tokens)
        tokens = label(model.tokenizer, answer, clip, judge)
        # Media placeholders and the end of the answer are no words; tokens that one of the two lacks have no rank.
        kept = np.isin(answer, common) & ~np.isin(answer, [*model.tokenizer.all_special_ids, *model.stop_ids])
        for name, other in baselines.items():
            shown = job.other if name == "other audio" else clip
            if shown is not None:
                prompt = other.prompt(shown, question, modalities=modalities[name], like=model)  # the same frames
                _, expected = _scored(other, prompt, common, forced=answer)
                found = _compare(said, expected, answer, common, model.tokenizer)
                yield tokens.assign(clip=clip.id, kind=clip.kind, question=question, against=name, **found)[kept]

    return over(plan(clips, seed), lambda job: pd.concat(compared(job)), _COLUMNS)


def plan(clips, seed=0) -> list:
    """A job for each clip, with the clip as it is with the sound of another one: one that sounds like nothing in it.

    Args:
        clips: the clips.
        seed: of the draw.

    Returns:
        list of `Job`; `other` is None where no clip of the set can lend its sound.

    Example:
        >>> dog, bell = (avnb.Clip(name, f"{name}.mp4", heard=(name,), seen=(name,)) for name in ("dog", "bell"))
        >>> [str(job.other.audio) for job in plan([dog, bell])]
        ['bell.mp4', 'dog.mp4']
    """
    clips = list(clips)
    if all(isinstance(clip, Job) for clip in clips):
        return clips
    rng, jobs = np.random.default_rng(seed), []
    for clip in clips:
        donors = [one for one in clips if one.kind != "mute" and _sounds(one) and not sounds_like(one, clip)]
        other = None
        if donors:
            other = replace(clip, audio=donors[rng.integers(len(donors))].sound, kind="counterfactual")
        else:
            log.warning("clip %s: no clip of the set can lend it a sound, so that it lacks %r", clip.id, BASELINES[2])
        jobs.append(Job(clip, other))
    return jobs


def label(tokenizer, answer, clip, judge="events") -> pd.DataFrame:
    """The tokens of an answer, and which of them name an audio event (see the module).

    Args:
        tokenizer: the model's.
        answer: token ids.
        clip: the clip that the answer is about.
        judge: as in `shift`.

    Returns:
        DataFrame, one row per token: step, token, token_id, event, is_audio, first, right, hallucinated, as in `shift`.

    Example:
        >>> tokenizer, clip = avnb.load("toy-omni").tokenizer, avnb.Clip("0", "0.mp4", heard=("dog",))
        >>> table = label(tokenizer, tokenizer("I hear a dog and ringing.")["input_ids"], clip)
        >>> table.loc[table["is_audio"], ["token", "event", "right"]].values.tolist()
        [[' dog', 'dog', True], [' ringing', 'telephone', False]]
    """
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    # A character may be spread over several tokens; it belongs to the one that completes it.
    texts = [tokenizer.decode(answer[: i + 1], **options).rstrip("\ufffd") for i in range(len(answer))]
    stops = [len(text) for text in texts]
    starts = [0, *stops[:-1]]
    events = [None] * len(answer)
    found = judges.score(texts[-1] if texts else "", clip, "audio", judge)
    names = by_stem((*found.matched, *found.invented), judges.named(judge).words_of)
    for start, stop, source in _named(texts[-1] if texts else "", names):
        for i in range(len(answer)):
            if starts[i] < stop and stops[i] > start:
                events[i] = events[i] or source
    event = pd.Series(events, dtype=object)
    named, heard = event.notna(), event.isin(found.matched)
    return pd.DataFrame(
        {
            "step": range(len(answer)),
            "token": [texts[-1][start:stop] for start, stop in zip(starts, stops, strict=True)],
            "token_id": answer,
            "event": event,
            "is_audio": named,
            "first": named & ~event.duplicated(),
            "right": named & heard,
            "hallucinated": named & ~heard,
        }
    )


def common_tokens(model, base):
    """The token ids that stand for the same text in both models, ascending, int64 [n].

    Ordinary tokens must all agree. Special tokens may have other names, and a vocabulary may be padded to a round size:
    such ids are left out of the distributions of both.

    Raises:
        ValueError: an ordinary token differs, or a model has no tokenizer; names both models.

    Example:
        >>> model = avnb.load("toy-omni")
        >>> len(common_tokens(model, model)) == len(model.tokenizer)
        True
    """
    for one in (model, base):
        if one.tokenizer is None:
            raise ValueError(f"{one.name} has no tokenizer; wrap it with its processor")
    vocabularies = [one.tokenizer.get_vocab() for one in (model, base)]
    ordinary = [vocabularies[i].keys() - one.tokenizer.get_added_vocab() for i, one in enumerate((model, base))]
    differing = [t for t in ordinary[0] | ordinary[1] if vocabularies[0].get(t) != vocabularies[1].get(t)]
    if differing:
        raise ValueError(
            f"{model.name} and {base.name} have different vocabularies ({len(differing)} tokens differ, such as "
            f"{min(differing)!r}); give as base the vision-language model that {model.name} was made from"
        )
    sizes = [one.decoder.config.vocab_size for one in (model, base)]
    ids = sorted(i for _, i in vocabularies[0].items() & vocabularies[1].items() if i < min(sizes))
    if len(ids) < max(sizes):
        names = f"{model.name} ({sizes[0]} tokens) and {base.name} ({sizes[1]})"
        log.info("%s are compared on the %d tokens that they have in common", names, len(ids))
    return np.asarray(ids, dtype=np.int64)


def by_group(table, seed=0) -> pd.DataFrame:
    """The rows of every group of tokens: all, those that name audio events, and so on.

    Args:
        table: from `shift`.
        seed: of the group "as many others": in every answer as many tokens as name audio events, drawn from its others
            (all of them, where there are fewer); the same ones for each baseline. What the audio events are like and
            these are not is due to the words, not to their number.

    Returns:
        DataFrame: `table` with a column group (one of `GROUPS`); a row comes once for every group that it is in.

    Example:
        >>> table = pd.DataFrame({"clip": "0", "against": "base model", "step": [0, 1], "is_audio": [False, True]})
        >>> table = table.assign(first=table["is_audio"], right=table["is_audio"], hallucinated=False)
        >>> by_group(table)["group"].value_counts()["all"]
        np.int64(2)
    """
    rng = np.random.default_rng(seed)
    answers = table.drop_duplicates(["clip", "step"])
    n_audio = answers.groupby("clip")["is_audio"].sum()
    others = answers[~answers["is_audio"].astype(bool)]
    order = others.iloc[rng.permutation(len(others))]
    drawn = order[order.groupby("clip").cumcount() < order["clip"].map(n_audio)]
    drawn = drawn[["clip", "step"]].apply(tuple, axis=1)
    every = pd.Series(True, table.index)
    at_random = pd.Series(pd.MultiIndex.from_frame(table[["clip", "step"]]).isin(drawn), table.index)
    masks = (every, table["is_audio"], table["first"], table["right"], table["hallucinated"], at_random)
    parts = [table[mask].assign(group=name) for name, mask in zip(GROUPS, masks, strict=True)]
    return pd.concat(parts, ignore_index=True)


def summary(table, seed=0) -> pd.DataFrame:
    """Means with 95 % intervals over clips, by kind of clip, baseline and group of tokens.

    Args:
        table: from `shift`.
        seed: of the resampling, and as in `by_group`.

    Returns:
        DataFrame: kind, against, group, quantity ("kl" and "kl_reverse" in nats, "unshifted" and "within top 3" as
        shares in 0..1), mean, low, high, n (clips that have such tokens).
    """
    rows, by = by_group(table, seed), ["kind", "against", "group", "quantity"]
    parts = [
        stats.summarise(rows.assign(value=values.astype(float), quantity=name), by, seed=seed)
        for name, values in _quantities(rows).items()
    ]
    return pd.concat(parts, ignore_index=True)


def headline(table, seed=0) -> dict:
    """What the study states, for tokens that name audio events, over all kinds of clips.

    Args:
        table: from `shift`.
        seed: of the resampling.

    Returns:
        dict: name of a quantity of `paper.quantities` -> `stats.Interval`, or None if no token names an event.
    """
    rows = table[table["is_audio"] & (table["against"] == BASELINES[0])]
    values = _quantities(rows) | {name: rows["bin"] == name for name in BINS[1:]}
    values["KL to the base"] = values.pop("kl")
    del values["kl_reverse"]
    per_clip = {name: value.astype(float).groupby(rows["clip"], sort=False).mean() for name, value in values.items()}
    return {f"{name}, audio tokens": stats.interval(v, seed) if len(v) else None for name, v in per_clip.items()}


def _scored(model, prompt, common, **options):
    """An answer [n_tokens] and, before each of its tokens, log-probabilities [n_tokens, n_common], float64."""
    answer = run(model, prompt, capture=Capture(logits=True), **options)[0]
    logits = torch.from_numpy(answer.logits[:, common]).double()
    return answer.token_ids, torch.log_softmax(logits, -1)


def _compare(said, expected, answer, common, tokenizer):
    """The columns of the shift: of log-probabilities `said` by the model from those `expected` of the baseline."""
    at = torch.from_numpy(np.searchsorted(common, answer).clip(max=len(common) - 1))
    rank = 1 + (expected > expected.gather(1, at[:, None])).sum(1)
    return {
        "kl": (said.exp() * (said - expected)).sum(1).numpy(),
        "kl_reverse": (expected.exp() * (expected - said)).sum(1).numpy(),
        "entropy": -(said.exp() * said).sum(1).numpy(),
        "base_entropy": -(expected.exp() * expected).sum(1).numpy(),
        "base_rank": rank.numpy(),
        "base_token": [tokenizer.decode([common[i]]) for i in expected.argmax(1).tolist()],
        "bin": np.asarray(BINS, dtype=object)[np.digitize(rank.numpy(), [2, 4])],
    }


def _named(text, names):
    """(start, stop, event) of every word that names an audio event; names are {stem: event}."""
    lower, at = text.lower(), 0
    for part in about(text, "audio").split(". "):
        at = lower.index(part, at)
        for word in re.finditer(r"[^\W\d_]+", part):
            for stem in stems(word.group()):
                if stem in names:
                    yield at + word.start(), at + word.end(), names[stem]
        at += len(part)


def _sounds(clip):
    """Whether anything is known of a clip's sound."""
    return bool(clip.heard or clip.audio_captions)


def _quantities(rows):
    """What is averaged: one Series per quantity."""
    shares = {"unshifted": rows["base_rank"] == 1, "within top 3": rows["base_rank"] <= 3}
    return {"kl": rows["kl"], "kl_reverse": rows["kl_reverse"], **shares}
