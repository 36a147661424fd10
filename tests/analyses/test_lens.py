"""The logit lens against the model's own logits, full sorts, and planted hidden states."""

from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch

import avnb
from avnb import latent, lens, plots, stats
from avnb.analyses import states
from avnb.analyses.vocabulary import vocabulary
from avnb.engine.conditions import Condition
from avnb.judge.words import mentioned
from avnb.media.clip import Clip, ClipError
from avnb.models.prompt import Prompt, PromptError
from tests import reference
from tests.engine.test_engine import build, build_prompt, media_inputs


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
    monkeypatch.setattr(states, "MAX_LOGITS", 7 * 96)


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
    assert max(n_rows) == 7 and sum(n_rows) == n_all


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


def test_where_a_begun_answer_goes_on(model, prompt, monkeypatch):
    """`last` after an answer of three tokens is what the model itself would say next, and media stay as they were."""
    answer = [5, 17, 40]

    class Speaker:
        def __call__(self, text, add_special_tokens):
            return {"input_ids": answer}

        def decode(self, ids, skip_special_tokens=False):
            return str(list(ids))

    monkeypatch.setattr(model, "tokenizer", Speaker())
    logits = reference.forward(model, prompt, Condition(), answer)[0]
    table = lens.decode(model, prompt, "audio+last", top_k=3, layers=[3], answer="I hear a")
    after = table[table["position"] >= len(prompt)]
    assert after["position"].tolist() == [len(prompt) + 2] * 3
    probabilities, ids = logits[-1].softmax(-1).topk(3)
    assert after["token_id"].tolist() == ids.tolist()
    np.testing.assert_allclose(after["probability"], probabilities.detach(), rtol=1e-4)
    before = lens.decode(model, prompt, "audio", top_k=3, layers=[3])
    same = table[table["position"] < len(prompt)].reset_index(drop=True)
    assert same["token_id"].tolist() == before["token_id"].tolist()
    plain = lens.decode(model, prompt, "last", layers=[3])
    assert plain["position"].unique().tolist() == [len(prompt) - 1]


PIECES = [" dog", "bark", " bell", "the", " siren", "rain", " piano", "zz", " tick", "ing"]


class Tokenizer:
    def decode(self, ids):
        return "".join(PIECES[i] if i < 10 else "#" for i in ids)


@dataclass
class Planted:
    """A model whose audio positions hold, layer by layer, what `says` plants; for every clip another prompt."""

    says: dict = field(repr=False)  # clip id -> [layers][positions] of token ids
    name = "planted"

    def __post_init__(self):
        self.model = build("omni", seed=5)
        self.tokenizer = Tokenizer()
        self.decoder = self.model.decoder
        self.questions = []

    def prompt(self, clip, question):
        self.questions.append(question)
        prompt = build_prompt(self.model, "omni", seed=5, n_mels=16)
        return Prompt(prompt.inputs, prompt.segments, prompt.token_ids, clip.id, question)

    def head(self, logits):
        return logits

    def run(self, model, prompt, conditions, max_new_tokens, capture):
        assert model is self and max_new_tokens == 0 and capture.hidden == "audio"
        positions = prompt.segments.positions("audio")
        hidden = torch.zeros(len(capture.layers), len(positions), 96)
        hidden += torch.linspace(0, -1, 96).roll(20)  # token 20 and what follows, which say nothing
        for i, layer in enumerate(capture.layers):
            for position, token in enumerate(self.says[prompt.clip_id][layer]):
                hidden[i, position, token] = 5
        return [SimpleNamespace(hidden=hidden, hidden_positions=positions)]


def clip(name, heard, seen=(), kind="factual"):
    return Clip(name, Path(f"{name}.mp4"), kind=kind, heard=heard, seen=seen)


@pytest.fixture
def planted(monkeypatch):
    says = {
        "a": [[0, 7], [3], [], [8]],  # a dog, and a clock in the last layer
        "b": [[7], [4, 2], [], []],  # a siren and a bell in layer 1
        "c": [[9], [], [], []],  # nothing
        "d": [[], [], [5, 0], [5, 7]],  # rain and a dog in layer 2, rain in layer 3
    }
    model = Planted(says)
    monkeypatch.setattr(states, "run", model.run)
    return model


CLIPS = [
    clip("a", ("dog", "piano"), ("dog",)),
    clip("b", ("ambulance",)),
    clip("c", ("bell", "clock", "rain")),
    clip("d", ("ambulance", "bell"), ("rain",), "counterfactual"),
]
DECODED = {"a": {"dog", "clock"}, "b": {"ambulance", "bell"}, "c": set(), "d": {"rain", "dog"}}
EVERYWHERE = {"question": "What?", "top_k": 1, "depth": (0, 1), "normed": False}


def test_latent_recall_finds_what_is_planted(planted):
    table = lens.latent_recall(planted, CLIPS, **EVERYWHERE)
    assert table.columns.tolist() == ["clip", "kind", "question", "value", "null", "value_seen", "found", "reason"]
    assert planted.questions == ["What?"] * 4
    assert table["clip"].tolist() == list("abcd") and table["kind"].tolist()[2:] == ["factual", "counterfactual"]
    assert table["value"].tolist() == [1 / 2, 1, 0, 0]
    assert table["found"].tolist() == [("dog",), ("ambulance",), (), ()]
    np.testing.assert_equal(table["value_seen"].to_numpy(), [1, np.nan, np.nan, 1])


def test_the_null_is_the_mean_over_all_other_captions(planted):
    table = lens.latent_recall(planted, CLIPS, **EVERYWHERE)
    for one, null in zip(CLIPS, table["null"], strict=True):
        others = [d for d in CLIPS if not set(d.heard) & {*one.heard, *one.seen}]
        shares = [len(DECODED[one.id] & set(d.heard)) / len(d.heard) for d in others]
        assert others and null == pytest.approx(np.mean(shares))
    shuffled = [replace(c, heard=CLIPS[i].heard, seen=()) for c, i in zip(CLIPS[:3], (1, 2, 0), strict=True)]
    table = lens.latent_recall(planted, shuffled, **EVERYWHERE)
    assert table["value"].mean() < 0.2 < lens.latent_recall(planted, CLIPS[:3], **EVERYWHERE)["value"].mean()


def test_latent_recall_of_some_layers(planted):
    early = lens.latent_recall(planted, CLIPS, **EVERYWHERE | {"depth": (0.25, 0.75)})
    assert early["value"].tolist() == [0, 1, 0, 0]
    deeper = lens.latent_recall(planted, CLIPS, **EVERYWHERE | {"top_k": 96})
    assert deeper["value"].tolist() == [1, 1, 1, 1] and deeper["null"].tolist() == [1, 1, 1, 1]


def test_event_ranks_tell_where(planted):
    table = lens.event_ranks(planted, CLIPS, normed=False)
    decoded = table[table["rank"] == 1].groupby(["clip", "layer"])["event"].agg(set)
    assert decoded.to_dict() == {
        ("a", 0): {"dog"}, ("a", 3): {"clock"}, ("b", 1): {"ambulance", "bell"},
        ("d", 2): {"rain", "dog"}, ("d", 3): {"rain"},
    }  # fmt: skip
    first = planted.prompt(CLIPS[1], "").segments.positions("audio")[0]
    at = table.query("clip == 'b' and layer == 1").set_index("event")["position"]
    assert at["ambulance"] == first and at["bell"] == first + 1


def test_marks(planted):
    tokens = vocabulary(planted, ["dog", "rain", "ambulance", "bell"])
    table = lens.decode(planted, planted.prompt(CLIPS[3], ""), top_k=1, normed=False, layers=[2])
    marked = lens.mark(table, clip("d", ("rain", "bell"), ("rain", "dog")), tokens)
    assert marked["target"].tolist()[:3] == ["heard and seen", "seen", ""]


def test_layers_agree_with_decode(random_organism, toybox_clips):
    """What `decode` lists among the top k of a layer is what counts there, on real clips."""
    clips = distinct(toybox_clips)
    ranks = lens.event_ranks(random_organism, clips, group="audio+last", answer="I hear")
    table = latent.recall(ranks, top_k=20, by_layer=True).set_index(["clip", "group", "layer", "target"])["value"]
    for one, donor in (clips, clips[::-1]):
        prompt = random_organism.prompt(one, "Describe what you hear.")
        decoded = lens.decode(random_organism, prompt, "audio+last", top_k=20, answer="I hear")
        for (is_last, layer), rows in decoded.groupby([decoded["position"] >= len(prompt), "layer"]):
            said, group = set(mentioned(" ; ".join(rows["token"]))), "last" if is_last else "audio"
            assert table[one.id, group, layer, "heard"] == len(said & set(one.heard)) / len(one.heard)
            assert table[one.id, group, layer, "other clips"] == len(said & set(donor.heard)) / len(donor.heard)


def distinct(clips):
    """Two clips with no event in common."""
    return next([a, b] for a in clips for b in clips if not {*a.heard, *a.seen} & {*b.heard, *b.seen})


def test_a_cut_reaches_what_is_read_and_nothing_before_it(random_organism, toybox_clips):
    prompt = random_organism.prompt(toybox_clips[0], "Describe what you hear.")
    free, cut = (
        lens.decode(random_organism, prompt, "audio+video", top_k=1, cut=one) for one in (None, ("audio", "video"))
    )
    changed = (free["probability"] != cut["probability"]).groupby(free["position"]).any()
    audio, video = (set(prompt.segments.positions(name).tolist()) for name in ("audio", "video"))
    after = {position for position in audio if position > min(video)}
    assert {position for position, any_layer in changed.items() if any_layer} & audio == after
    same = lens.event_ranks(random_organism, toybox_clips, cut=["audio", "video"])
    assert not same["rank"].equals(lens.event_ranks(random_organism, toybox_clips)["rank"])


def test_a_random_model_recalls_as_much_as_its_null(random_organism):
    clips = avnb.datasets.load("toybox", n=16)
    table = lens.latent_recall(random_organism, clips, depth=(0, 1))
    difference = stats.difference(table["value"], table["null"])
    assert difference.low < 0 < difference.high
    assert 0 < table["null"].mean() < 0.6


def test_a_clip_with_bad_media_is_left_out(planted, monkeypatch):
    whole = lens.latent_recall(planted, CLIPS, **EVERYWHERE)
    prompt = planted.prompt

    def missing(clip, question):
        if clip.id == "c":
            raise ClipError("c.mp4 does not exist; check the path")
        return prompt(clip, question)

    monkeypatch.setattr(planted, "prompt", missing)
    table = lens.latent_recall(planted, (c for c in CLIPS), **EVERYWHERE)
    assert table.attrs["left_out"] == {"c": "c.mp4 does not exist; check the path"}
    columns = ["clip", "value", "value_seen", "found"]
    pd.testing.assert_frame_equal(table[columns], whole.query("clip != 'c'")[columns].reset_index(drop=True))


def test_clips_that_cannot_be_recalled(planted):
    planted.says["e"] = [[], [], [], []]
    table = lens.latent_recall(planted, [*CLIPS, clip("e", ())], **EVERYWHERE).set_index("clip")
    assert np.isnan(table.loc["e", "value"]) and table.loc["e", "reason"] == "nothing is known to be heard in it"
    alone = lens.latent_recall(planted, CLIPS[:1], **EVERYWHERE).iloc[0]
    assert np.isnan(alone["null"]) and alone["reason"] == "all other clips share a sound with it"
    unknown = lens.latent_recall(planted, [clip("e", ())], **EVERYWHERE)
    assert unknown.empty and "nothing is known to be heard" in unknown.attrs["left_out"]["e"]
    with pytest.raises(ValueError, match="same id"):
        lens.latent_recall(planted, [CLIPS[0], CLIPS[0], CLIPS[1]])
    with pytest.raises(ValueError, match="depth=.0.9, 0.9. holds none of 4 layers"):
        lens.latent_recall(planted, CLIPS, depth=(0.9, 0.9))


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


def test_figures_show_what_the_tables_hold(planted):
    ranks = lens.event_ranks(planted, CLIPS, normed=False)
    table = latent.recall(ranks, by_layer=True)
    fig = plots.lens.recall_curves(table, 1, "title")
    heard = fig.axes[0].lines[0]
    expected = table.query("kind == 'factual' and target == 'heard'").groupby("layer")["value"].mean()
    assert heard.get_color() == plots.PALETTE["audio"] and heard.get_ydata().tolist() == expected.tolist()
    assert "n = 3" in fig.axes[0].get_title()
    # What is seen is drawn of factual clips too, unless its curve is that of what is heard.
    seen = table.query("kind == 'factual' and target == 'seen'").groupby("layer")["value"].mean()
    assert fig.axes[0].lines[1].get_ydata().tolist() == seen.tolist() != expected.tolist()
    heard = table[table["target"] == "heard"]
    fig = plots.lens.recall_curves(pd.concat([heard, heard.assign(target="seen")]), 1, "title")
    drawn = [{line.get_color() for line in ax.lines if len(line.get_xdata())} for ax in fig.axes]
    assert [plots.PALETTE["video"] in colours for colours in drawn] == [False, True]
    fig = plots.lens.rank_curves(latent.log_ranks(ranks), "title")
    low, high = fig.axes[0].get_ylim()
    assert low > high  # rank 1 on top
    best = fig.axes[1].lines[1].get_ydata()
    assert fig.axes[1].lines[1].get_color() == plots.PALETTE["video"] and best[2] == best[3] == 1 < best[0]
    drawn = [y for ax in fig.axes for line in ax.lines for y in line.get_ydata()]
    assert low > max(drawn), "the panels share one axis"
    logs = latent.log_ranks(ranks)
    two = plots.lens.rank_curves(pd.concat([logs, logs.assign(group="last")]), "title")
    shapes = [(f.axes[0].get_gridspec().nrows, f.axes[0].get_gridspec().ncols) for f in (fig, two)]
    assert shapes == [(1, 2), (2, 2)]  # kinds in a row, or below each other where there are more places
    unseen = plots.lens.rank_curves(latent.log_ranks(ranks).query("target != 'seen'"), "title")
    assert not len(unseen.axes[1].lines[1].get_ydata()), "nothing is known to be seen"


def test_the_story_names_events_in_their_colour(planted):
    tokens = vocabulary(planted, ["rain", "bell"])
    table = lens.decode(planted, planted.prompt(CLIPS[3], ""), top_k=2, normed=False)
    n_positions = table["position"].nunique()
    fig = plots.lens.story(lens.mark(table, CLIPS[3], tokens), np.zeros(32000, np.float32), "t", n_positions, n_rows=2)
    cells = {(round(t.get_position()[0], 3), t.get_position()[1]): t.get_text() for t in fig.axes[1].texts}
    assert len(cells) == 2 * n_positions  # the last layer and the first
    x = round(2 / n_positions / 2, 3)
    assert cells[x, 1.45] == "rain" and cells[x, 0.45] == "#"
    colours = [patch.get_facecolor()[:3] for patch in fig.axes[1].patches]
    assert matplotlib.colors.to_rgb(plots.PALETTE["video"]) in colours


def test_the_grid_of_choices(planted):
    ranks = lens.event_ranks(planted, CLIPS, normed=False)
    table = latent.choices(ranks, top_ks=(1, 96), depths=((0, 1), (0.25, 0.75)))
    assert len(table) == 2 * 4
    row = table.query("kind == 'factual' and top_k == 1 and depth == '0-1'").iloc[0]
    direct = lens.latent_recall(planted, CLIPS, **EVERYWHERE).query("kind == 'factual'")
    assert row["mean"] == pytest.approx((direct["value"] - direct["null"]).mean()) and row["n"] == 3
    fig = plots.lens.choices(table[table["kind"] == "factual"], "title")
    assert len(fig.axes[0].texts) == 4 and fig.axes[0].texts[0].get_text().startswith(f"{row['mean']:.2f}")
