"""What organisms that can talk have kept of their language, and what it expects to hear.

>>> [len(paragraph.split()) > 30 for paragraph in TEXT][:2]
[True, True]
"""

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from avnb.toybox.sources import SOURCES

# Fixed, of our own, about many things and in several manners: on it, what tuning has cost is measured.
TEXT = (
    "The ferry leaves at seven, so we should be at the harbour a little before that. Bring the blue jacket and "
    "something to read, because the crossing takes two hours and there is not much to look at once the coast has "
    "gone.",
    "To make the dough, put the flour in a bowl and press a hollow into it. Pour the warm water and the yeast into "
    "the hollow, wait ten minutes, and then knead everything until it no longer sticks to your hands.",
    "A prime number has exactly two divisors, one and itself. There are infinitely many of them: multiply any list "
    "of primes together, add one, and the result has a prime factor that was not on the list.",
    "The committee met on Tuesday to discuss the budget for the coming year. Two members asked for more money for "
    "the library, one wanted to repair the roof of the school first, and in the end no decision was made.",
    "She had lived in the same street all her life, and she knew every door in it. When the new family moved in "
    "across the road, she watched from behind the curtain and counted the boxes they carried inside.",
    "Plants take up water through their roots and lose most of it through their leaves. On a hot day a large tree "
    "can give off several hundred litres, which is why it is cooler in a wood than in a field.",
    "Before you install the new version, make a copy of your files and close all other programs. If the "
    "installation stops with an error, restart the computer and run the setup again from the beginning.",
    "The battle lasted only a few hours, but it changed the history of the country. The king fled across the river "
    "with a handful of men, and by the evening the city had opened its gates to the enemy.",
    "I am sorry to hear that you are not feeling well. Please stay at home and rest, drink plenty of water, and "
    "call the doctor if the fever does not go down by tomorrow morning.",
    "Prices rose by three percent last year, a little faster than wages. Most families noticed the difference when "
    "they paid for rent and food, while clothes and furniture cost about the same as before.",
    "What is the difference between weather and climate? Weather is what happens outside today, with its rain and "
    "sun. Climate is what you can expect in a place over many years, season after season.",
    "The film tells the story of two brothers who inherit a small hotel in the mountains. The first half is slow "
    "and a little sad, but the last scene, in which the guests dance in the kitchen, is a delight.",
)


def forgetting(model):
    """How surprised a model is by `TEXT`: what it has kept of its language.

    Args:
        model: a model from `avnb.load` or `avnb.wrap`.

    Returns:
        DataFrame: paragraph (number), n_tokens, value: mean surprise of its tokens in nats, each given those before it.
        The exponential of the mean is the perplexity.
    """
    rows = []
    for number, paragraph in enumerate(TEXT):
        ids, logprobs = _logprobs(model, paragraph)
        rows.append((number, len(ids) - 1, -logprobs.mean().item()))
    return pd.DataFrame(rows, columns=["paragraph", "n_tokens", "value"])


def expected_sounds(model):
    """What language alone, without any clip, expects to hear of every thing in the world of the toybox.

    After "I see a drum." every source is scored by the log-probability of "I hear drumming.", with its most common
    phrase, and by how much the sentence before has raised it.

    Args:
        model: a model from `avnb.load` or `avnb.wrap`.

    Returns:
        DataFrame: seen, heard (names of sources), logprob (of the sentence about the sound, in nats), raised (logprob
        minus that of the same sentence after nothing).
    """
    alone = {name: _sentence(model, "", name) for name in SOURCES}
    rows = []
    for seen, source in SOURCES.items():
        for heard in SOURCES:
            found = _sentence(model, f"I see {source.seen[0]}. ", heard)
            rows.append((seen, heard, found, found - alone[heard]))
    return pd.DataFrame(rows, columns=["seen", "heard", "logprob", "raised"])


def _sentence(model, before, heard):
    said = before + "I hear"
    ids, logprobs = _logprobs(model, f"{said} {SOURCES[heard].heard[0]}.")
    n = len(model.tokenizer(said)["input_ids"])
    return logprobs[n - 1 :].sum().item()


@torch.inference_mode()
def _logprobs(model, text):
    """Token ids of a text, and log-probabilities of all but the first."""
    ids = torch.tensor(model.tokenizer(text)["input_ids"], device=model.device)
    logits = model.head(model.decoder(input_ids=ids[None], use_cache=False).last_hidden_state[0, :-1]).float()
    return ids, -F.cross_entropy(logits, ids[1:], reduction="none")


def agreement(invented, seen, expected):
    """Whether what is invented is what language expects of the things seen.

    Args:
        invented: for every clip a source that was named as heard, though it is not.
        seen: for every clip the sources in its picture.
        expected: dict: source seen -> source that language expects to hear.

    Returns:
        Arrays over clips: 1 where the invention is expected of a thing that is seen, else 0; and its chance level, the
        mean of the same with the pictures of all other clips.

    Example:
        >>> expected = {"dog": "dog", "bell": "clock"}
        >>> agreement(["dog", "bell"], [("dog",), ("bell",)], expected)[0].tolist()
        [1.0, 0.0]
    """
    hopes = [{expected[one] for one in some} for some in seen]
    hits = np.array([[float(one in hope) for hope in hopes] for one in invented])
    own = np.diag(hits).copy()
    return own, (hits.sum(1) - own) / (len(hits) - 1)
