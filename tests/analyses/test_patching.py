"""Patching: answers against plain hooks, token for token, and verdicts on planted effects and on nothing."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from avnb import judge as judges
from avnb.analyses import patching
from avnb.analyses.patches import ALONE, CUT_OFF, FREE, HEARD, LENT, OTHER, PICTURE, SEEN
from avnb.engine import Condition
from avnb.questions import HEAR

SPANS, N_TOKENS = [(0, 7), (3, 5)], 4


@pytest.fixture(scope="module")
def pair(toybox_clips):
    """Two clips that share nothing, the first with the sound of the second."""
    job = next(job for job in patching.plan(toybox_clips) if job.other is not None)
    sound = replace(job.clip, audio=job.other.sound, heard=job.other.heard, kind="counterfactual")
    return job._replace(clip=sound)


@torch.inference_mode()
def by_hooks(model, prompt, at=(), states=None, span=(0, 0), cut=False):
    """The greedy answer by hooks on whole passes, and the residual stream after every layer [n_layers, T, width].

    Args:
        at, states, span: positions, what they get [n_layers, n, width], and after which layers.
        cut: True keeps the answer from looking at the picture; "audio" keeps the sound from it.
    """
    decoder, kinds, answer = model.decoder, np.array(prompt.segments.types), []
    video = torch.from_numpy(kinds == "video")
    decoder.set_attn_implementation("eager")
    try:
        while len(answer) < N_TOKENS and not (answer and answer[-1] in model.stop_ids):
            length = len(prompt) + len(answer)
            embeds = prompt.embeds
            positions = prompt.position_ids
            if answer:
                embeds = torch.cat([embeds, decoder.get_input_embeddings()(torch.tensor([answer]))], 1)
                later = positions[..., -1:] + torch.arange(1, len(answer) + 1)
                positions = torch.cat([positions, later], -1)
            mask = torch.full((length, length), torch.finfo(embeds.dtype).min).triu(1)
            rows = [*np.flatnonzero(kinds == "audio")] if cut == "audio" else range(len(prompt) - 1, length)
            for row in rows if cut else ():
                mask[row, : len(prompt)][video] = torch.finfo(embeds.dtype).min
            seen = []

            def hook(i, module, args, output, seen=seen):
                if span[0] <= i < span[1]:
                    output[0, at] = states[i]
                seen.append(output[0, : len(prompt)].clone())
                return output

            handles = [one.register_forward_hook(partial(hook, i)) for i, one in enumerate(decoder.layers)]
            out = decoder(
                inputs_embeds=embeds, position_ids=positions, attention_mask=mask[None, None], use_cache=False
            )
            for handle in handles:
                handle.remove()
            answer.append(int(model.head(out.last_hidden_state[0, -1:]).argmax()))
    finally:
        decoder.set_attn_implementation("sdpa")
    return model.tokenizer.decode(answer, skip_special_tokens=True).strip(), torch.stack(seen)


@pytest.mark.parametrize("name", ["random", pytest.param("toy-omni", marks=pytest.mark.organism)])
def test_answers_are_those_of_plain_hooks(name, random_organism, pair):
    from avnb import models

    model = random_organism if name == "random" else models.load(name)
    table = patching.measure(model, [pair], spans=SPANS, max_new_tokens=N_TOKENS)
    answers = table.drop_duplicates(["instead", "start"]).set_index(["instead", "start"])["answer"]
    prompt = model.prompt(pair.clip, HEAR)
    audio, video = (prompt.segments.positions(group) for group in ("audio", "video"))

    def alone(clip, modality):
        one = model.prompt(clip, HEAR, modalities=(modality,))
        return by_hooks(model, one)[1][:, one.segments.positions(modality)]

    put_in = {
        CUT_OFF: (audio, by_hooks(model, prompt, cut="audio")[1][:, audio]),
        ALONE: (audio, alone(pair.clip, "audio")),
        OTHER: (audio, alone(pair.other, "audio")),
        FREE: (audio, alone(pair.other, "audio")),
        PICTURE: (video, alone(pair.other, "video")),
    }
    expected = {("nothing", 0): by_hooks(model, prompt)[0]}
    for instead, (at, states) in put_in.items():
        for span in SPANS:
            expected[instead, span[0]] = by_hooks(model, prompt, at, states, span, cut=instead == FREE)[0]
    assert answers.to_dict() == expected
    assert len(set(expected.values())) > 1 or name == "random", "some of it has to matter"


def test_what_an_answer_names_of_others_is_counted(random_organism, pair, monkeypatch):
    told = f"I hear a {pair.clip.seen[0]}."
    monkeypatch.setattr(
        judges, "scores", lambda cases, judge: [judges.named(judge).score(told, *case[1:]) for case in cases]
    )
    table = patching.measure(random_organism, [pair], spans=[(0, 7)], max_new_tokens=2)
    values = table.groupby(["instead", "quantity"])["value"].first()
    assert values["nothing", SEEN] == 1 / len(pair.clip.seen) and values["nothing", HEARD] == 0
    assert values[OTHER, LENT] == 0 and ("nothing", LENT) not in values.index
    assert table.columns.tolist() == patching._COLUMNS


def test_a_patch_of_a_condition_tells_what_it_is():
    states = torch.zeros(8, 3, 16)
    assert str(Condition.patch("audio", states, [0, 1, 2])) == "audio patched after layers 0-2"
