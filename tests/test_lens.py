"""The logit lens against the model's own logits, full sorts, and planted hidden states."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from avnb import lens
from avnb.clips import Clip, ClipError
from avnb.models.prompt import Prompt, PromptError
from avnb.rules import Condition
from avnb.toybox import organism
from avnb.toybox.sources import SOURCES, mentioned
from tests import reference
from tests.test_engine import build, build_prompt, media_inputs


@pytest.fixture(scope="module")
def model():
    """A random model whose final norm is no mere rescaling."""
    model = build("omni", seed=4)
    with torch.no_grad():
        model.decoder.norm.weight.uniform_(0.2, 3)
    return model


@pytest.fixture(scope="module")
def prompt(model):
    return build_prompt(model, "omni", seed=4)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(lens, "MAX_LOGITS", 7 * 96)


@pytest.mark.parametrize("family", ["omni", "soft_capped"])
def test_the_last_layer_says_what_the_model_says(family):
    model = build(family, seed=4)
    prompt = build_prompt(model, family, seed=4)
    with torch.inference_mode():
        probabilities = model.hf(**media_inputs(family, seed=4)).logits[0].softmax(-1)
    for group in ("audio", "text"):
        table = lens.decode(model, prompt, group, top_k=4, layers=[3])
        positions = prompt.segments.positions(group)
        assert table.columns.tolist() == ["layer", "position", "rank", "token", "token_id", "probability"]
        assert table["position"].tolist() == np.repeat(positions, 4).tolist()
        values, ids = probabilities[positions].topk(4)
        assert table["token_id"].tolist() == ids.flatten().tolist()
        np.testing.assert_allclose(table["probability"], values.flatten(), rtol=1e-4)


@pytest.mark.parametrize("normed", [True, False])
def test_every_layer(model, prompt, normed, small_chunks):
    hidden = reference.forward(model, prompt, Condition(), [])[1]
    table = lens.decode(model, prompt, "video", top_k=96, normed=normed, layers=[2, 0])
    assert table["layer"].unique().tolist() == [0, 2] and table["token"].isna().all()
    positions = prompt.segments.positions("video")
    rms = model.decoder.norm
    for layer in (0, 2):
        rows = hidden[layer][positions]
        if normed:
            rows = rms.weight * rows / (rows.square().mean(-1, keepdim=True) + rms.variance_epsilon).sqrt()
        expected = (rows @ model.hf.get_output_embeddings().weight.T).softmax(-1)
        here = table[table["layer"] == layer].pivot(index="position", columns="token_id", values="probability")
        np.testing.assert_allclose(here, expected.detach(), atol=1e-5)
        assert here.index.tolist() == positions.tolist()
    for _, rows in table.groupby(["layer", "position"]):
        assert rows["rank"].tolist() == list(range(1, 97))
        assert all(a >= b for a, b in pairwise(rows["probability"]))


def test_logits_exist_for_a_chunk_only(model, prompt, small_chunks, monkeypatch):
    n_rows, head = [], model.head
    monkeypatch.setattr(model, "head", lambda rows: (n_rows.append(rows.shape[:-1].numel()), head(rows))[1])
    lens.decode(model, prompt, "text")
    n_all = 4 * len(prompt.segments.positions("text"))
    # The engine asks for the next token of the prompt, one row.
    assert max(n_rows) == 7 and sum(n_rows) == n_all + 1


@pytest.fixture
def speaker(model, monkeypatch):
    """The same model with a tokenizer of 96 words."""

    class Words:
        unk_token_id = 0
        names = ["<unk>", " dog", "dog", "Dog", " bell", " am", "bul", "ance", "Am", " ambulancia"]
        names += [f"w{i}" for i in range(len(names), 96)]

        def __call__(self, text, add_special_tokens):
            ids = []
            while text:
                i = max((i for i, n in enumerate(self.names) if text.startswith(n)), key=self.length, default=0)
                ids.append(i)
                text = text[len(self.names[i]) :] if i else ""
            return {"input_ids": ids}

        def length(self, i):
            return len(self.names[i])

        def decode(self, ids, skip_special_tokens=False):
            return "".join(self.names[i] for i in ids)

    monkeypatch.setattr(model, "tokenizer", Words())
    return model


def test_target_rank_is_a_full_sort(speaker, prompt, small_chunks):
    everything = lens.decode(speaker, prompt, top_k=96).set_index(["layer", "position", "token_id"])["rank"]
    spelled = {"dog": [1, 2, 3], "w33": [33]}
    table = lens.target_rank(speaker, prompt, spelled)
    assert table.columns.tolist() == ["layer", "position", "word", "token", "rank"]
    positions = prompt.segments.positions("audio")
    assert len(table) == 4 * len(positions) * 2
    for row in table.itertuples():
        ranks = {i: everything[row.layer, row.position, i] for i in spelled[row.word]}
        best = min(ranks, key=ranks.get)
        assert row.rank == ranks[best] and row.token == speaker.tokenizer.names[best]
    assert table.query("word == 'dog'")["token"].nunique() == 3
    pieces = lens.target_rank(speaker, prompt, "ambulance")
    assert set(pieces["token"]) <= {" am", "Am"}  # no token holds the whole word, so a first piece stands for it
    raw = lens.target_rank(speaker, prompt, "dog", normed=False, layers=[3])
    assert raw["rank"].tolist() != table.query("layer == 3 and word == 'dog'")["rank"].tolist()


def test_tokens_of_a_word():
    tokenizer = organism.build_processor().tokenizer
    model = SimpleNamespace(tokenizer=tokenizer, name="stub")
    dog = [tokenizer.decode([i]) for i in lens._tokens_of(model, "dog")]
    assert " dog" in dog and {t.strip().lower() for t in dog} == {"dog"}
    assert [tokenizer.decode([i]) for i in lens._tokens_of(model, "sirens")] == [" siren"]


PIECES = [" dog", "bark", " bell", "the", " siren", "rain", " piano", "zz", " tick", "ing"]


@dataclass
class Planted:
    """A model whose audio positions hold, layer by layer, what `says` plants; for every clip another prompt."""

    says: dict = field(repr=False)  # clip id -> [layers][positions] of token ids
    name = "planted"

    def __post_init__(self):
        self.model = build("omni", seed=5)
        self.tokenizer = SimpleNamespace(decode=lambda ids: "".join(PIECES[i] if i < 10 else "#" for i in ids))
        self.decoder = self.model.decoder
        self.questions = []

    def prompt(self, clip, question):
        self.questions.append(question)
        prompt = build_prompt(self.model, "omni", seed=5, n_mels=16)
        return Prompt(prompt.inputs, prompt.segments, prompt.token_ids, clip.id, question)

    def head(self, logits):
        return logits

    def run(self, model, prompt, max_new_tokens, capture):
        assert model is self and max_new_tokens == 0
        assert list(capture.hidden) == prompt.segments.positions("audio").tolist()
        hidden = torch.zeros(len(capture.hidden_layers), len(capture.hidden), 96)
        hidden += torch.linspace(0, -1, 96).roll(20)  # token 20 and what follows, which say nothing
        for i, layer in enumerate(capture.hidden_layers):
            for position, token in enumerate(self.says[prompt.clip_id][layer]):
                hidden[i, position, token] = 5
        return [SimpleNamespace(hidden=hidden)]


def clip(name, heard, seen=()):
    return Clip(name, Path(f"{name}.mp4"), heard=heard, seen=seen)


@pytest.fixture
def planted(monkeypatch):
    says = {
        "a": [[0, 7], [3], [], [8]],  # a dog, and a clock in the last layer
        "b": [[7], [4, 2], [], []],  # a siren and a bell in layer 1
        "c": [[9], [], [], []],  # nothing
    }
    model = Planted(says)
    monkeypatch.setattr(lens, "run", model.run)
    return model


CLIPS = [clip("a", ("dog", "piano")), clip("b", ("ambulance",)), clip("c", ("bell", "clock", "rain"))]


def test_latent_recall_finds_what_is_planted(planted):
    table = lens.latent_recall(planted, CLIPS, question="What?", top_k=1, normed=False)
    assert table.columns.tolist() == ["clip", "value", "null"] and planted.questions == ["What?"] * 3
    assert table["clip"].tolist() == ["a", "b", "c"]
    assert table["value"].tolist() == [1 / 2, 1, 0]
    decoded = {"a": {"dog", "clock"}, "b": {"ambulance", "bell"}, "c": set()}
    possible = [
        [len(decoded[c.id] & set(CLIPS[d].heard)) / len(CLIPS[d].heard) for c, d in zip(CLIPS, donors, strict=True)]
        for donors in ([1, 2, 0], [2, 0, 1])
    ]
    drawn = [lens.latent_recall(planted, CLIPS, top_k=1, normed=False, seed=s)["null"].tolist() for s in range(8)]
    assert possible[0] != possible[1] and all(d in possible for d in drawn) and all(p in drawn for p in possible)
    again = lens.latent_recall(planted, CLIPS, top_k=1, normed=False, seed=3)["null"].tolist()
    assert again == drawn[3]


def test_latent_recall_of_some_layers(planted):
    early = lens.latent_recall(planted, CLIPS, top_k=1, normed=False, layers=[1, 2])
    assert early["value"].tolist() == [0, 1, 0]
    deeper = lens.latent_recall(planted, CLIPS, top_k=96, normed=False)
    assert deeper["value"].tolist() == [1, 1, 1] and deeper["null"].tolist() == [1, 1, 1]


def test_donors_share_no_event():
    names = tuple(SOURCES)[:8]
    rng = np.random.default_rng(0)
    clips = [clip(str(i), tuple(rng.choice(names, 2, False)), tuple(rng.choice(names, 1))) for i in range(30)]
    seen = set()
    for seed in range(3):
        donors = lens._donors(clips, seed)
        assert sorted(donors) == list(range(30)) and donors.tolist() == lens._donors(clips, seed).tolist()
        for one, donor in zip(clips, donors, strict=True):
            assert not set(clips[donor].heard) & (set(one.heard) | set(one.seen))
        seen.add(tuple(donors))
    assert len(seen) == 3


def test_latent_recall_end_to_end(random_organism, toybox_clips):
    """On real clips: what `decode` lists is what counts, and no clip has no known event."""
    clips = [c for c in toybox_clips if not set(c.heard) & set(toybox_clips[0].heard)][:1] + [toybox_clips[0]]
    table = lens.latent_recall(random_organism, clips, top_k=20, layers=[0, 1]).set_index("clip")
    for one, donor in (clips, clips[::-1]):
        prompt = random_organism.prompt(one, "Describe what you hear.")
        said = set(mentioned(" ; ".join(lens.decode(random_organism, prompt, top_k=20, layers=[0, 1])["token"])))
        assert table.loc[one.id, "value"] == len(said & set(one.heard)) / len(one.heard)
        assert table.loc[one.id, "null"] == len(said & set(donor.heard)) / len(donor.heard)


def test_clips_that_cannot_be_recalled(planted):
    with pytest.raises(ClipError, match=r"d: heard=\(\)"):
        lens.latent_recall(planted, [*CLIPS, clip("d", ())])
    with pytest.raises(ClipError, match="d: heard=.'unicorn',"):
        lens.latent_recall(planted, [*CLIPS, clip("d", ("unicorn",))])
    with pytest.raises(ValueError, match="no such clip is left for a: add clips"):
        lens.latent_recall(planted, CLIPS[:1])
    with pytest.raises(ValueError, match="add clips with other events"):
        lens.latent_recall(planted, [CLIPS[0], CLIPS[0], CLIPS[1]])


def test_bad_input_is_named(model, prompt, monkeypatch):
    with pytest.raises(PromptError, match="the lens needs image positions"):
        lens.decode(model, prompt, "image")
    with pytest.raises(PromptError, match="'generated' is unknown"):
        lens.decode(model, prompt, "generated")
    for top_k in (0, 97):
        with pytest.raises(ValueError, match=f"top_k={top_k}; use 1 to 96"):
            lens.decode(model, prompt, top_k=top_k)
    with pytest.raises(ValueError, match="no layer 4"):
        lens.decode(model, prompt, layers=[4])
    with pytest.raises(ValueError, match="layers is empty"):
        lens.decode(model, prompt, layers=[])
    with pytest.raises(ValueError, match="no tokenizer"):
        lens.target_rank(model, prompt, "dog")
    monkeypatch.setattr(model.decoder, "norm", None)
    with pytest.raises(ValueError, match="use normed=False"):
        lens.decode(model, prompt)


def test_words_that_cannot_be_ranked(speaker, prompt):
    with pytest.raises(ValueError, match="words is empty"):
        lens.target_rank(speaker, prompt, [])
    for word in ("café", " "):
        with pytest.raises(ValueError, match="does not know"):
            lens.target_rank(speaker, prompt, word)
