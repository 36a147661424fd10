"""Knockout sweeps against hooks and a full forward per condition, planted truths, and the pitfalls of such sweeps."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

import avnb
from avnb import knockout, paper
from avnb.analyses.knockout import ANSWER, CONTROL, change, effect, flow, recovered, scores, sweep
from avnb.engine.branches import run_all
from avnb.engine.capture import Capture
from avnb.engine.conditions import Condition, Random
from avnb.engine.masks import resolve
from avnb.judge.references import references
from avnb.layers import cumulative, windows
from avnb.media.clip import Clip
from avnb.models.prompt import Prompt, Segments
from avnb.plots import knockout as plots
from avnb.questions import BOTH, HEAR, SEE
from avnb.stats import verdict
from tests import reference

N_LAYERS = 8
EVERYTHING_AFTER = "system+template+boundary+query+last+generated"


@pytest.fixture(scope="module")
def conflicting(toybox_clips):
    """A clip whose events of picture and sound are said to have nothing in common."""
    return replace(toybox_clips[0], kind="counterfactual", seen=("dog",), heard=("bell",))


@pytest.fixture
def conditions_run(monkeypatch):
    """What the analysis handed to the engine: a list of (prompt, conditions, forced answer)."""
    calls = []

    def watched(model, prompt, conditions, *args, **options):
        calls.append((prompt, list(conditions), options.get("forced")))
        return avnb.run(model, prompt, conditions, *args, **options)

    def all_watched(model, requests):
        calls.extend((one.prompt, list(one.conditions), one.forced) for one in requests)
        return run_all(model, requests)

    monkeypatch.setattr(knockout, "run", watched)
    monkeypatch.setattr(knockout, "run_all", all_watched)
    return calls


def silenced(folder, layers):
    """An organism in which attention adds nothing to the residual stream in some layers."""
    model = avnb.load(str(folder))
    with torch.no_grad():
        for layer in layers:
            model.decoder.layers[layer].self_attn.o_proj.weight.zero_()
    return model


def without(prompt, group):
    """The prompt as if a group's positions had never been there; all others keep their position ids."""
    kept = prompt.segments.types != group
    index = torch.from_numpy(np.flatnonzero(kept))
    inputs = {
        "inputs_embeds": prompt.embeds[:, index],
        "position_ids": prompt.position_ids[..., index],
    }
    return Prompt(inputs, Segments(prompt.segments.types[kept]), prompt.token_ids[kept], prompt.clip_id)


# Spans


@pytest.mark.parametrize("n_layers", [1, 5, 8, 36])
def test_spans_reach_the_last_layer(n_layers):
    """Pitfall: an exclusive end of n - 1 leaves the last layer open."""
    for stride in (1, 3):
        assert cumulative(n_layers, "first", stride)[-1] == cumulative(n_layers, "last", stride)[-1] == (0, n_layers)
        for width in {1, (n_layers + 1) // 2, n_layers}:
            spans = windows(n_layers, width, stride)
            assert {stop - start for start, stop in spans} == {width} and len(set(spans)) == len(spans)
            assert spans[0][0] == 0 and spans[-1][1] == n_layers
    assert len(windows(n_layers, 1)) == len(cumulative(n_layers)) == n_layers


def test_a_span_short_of_the_last_layer_leaves_it_open(random_organism, toybox_clips):
    prompt = random_organism.prompt(toybox_clips[0], HEAR)
    short, whole = (
        Condition.block("last+generated", "video", range(*span)) for span in ((0, N_LAYERS - 1), (0, N_LAYERS))
    )
    runs = avnb.run(random_organism, prompt, [short, whole], 3, capture=Capture("paper"))
    for found, n_open in zip(runs, (1, 0), strict=True):
        seen = found.shares[..., found.groups.index("video")].max((0, 2))
        assert (seen > 0).sum() == n_open and (seen[:-1] == 0).all()


def test_spans_that_make_no_sense(random_organism, toybox_clips):
    with pytest.raises(ValueError, match="width=9"):
        windows(8, 9)
    with pytest.raises(ValueError, match="end='middle'"):
        cumulative(8, "middle")
    for span in ((0, 9), (3, 3), (-1, 2)):
        with pytest.raises(ValueError, match="0 <= start < stop <= 8"):
            sweep(random_organism, toybox_clips[:1], spans=[span])


# Sweeps


def test_sweep_gives_what_hooks_and_a_full_generate_give(random_organism, toybox_clips):
    clip, spans = toybox_clips[0], [(0, 2), (3, 8)]
    table = sweep(
        random_organism, [clip], [SEE], spans=spans, blocked=["audio", "video+audio"], n_draws=0, max_new_tokens=4
    )
    assert table.columns.tolist() == [
        "clip", "kind", "question", "blocked", "start", "stop", "draw", "modality", "answer", "value",
        "reason",
    ]  # fmt: skip
    prompt = random_organism.prompt(clip, SEE)
    expected = [("nothing", 0, 0, Condition())]
    for span in spans:
        expected += [(g, *span, Condition.block("last+generated", g, range(*span))) for g in ("audio", "video+audio")]
    assert table[["blocked", "start", "stop"]].values.tolist() == [[*row[:3]] for row in expected]
    answers = [random_organism.decode(reference.generate(random_organism, prompt, row[3], 4)[0]) for row in expected]
    assert table["answer"].tolist() == answers
    assert set(table["modality"]) == {"video"} and table["value"].between(0, 1).all()


def test_caption_scores_are_those_of_hooks(random_organism, conflicting, conditions_run):
    table = scores(random_organism, [conflicting], HEAR, spans=[(2, 5)], blocked=["video"], n_draws=1)
    prompt, conditions, _ = conditions_run[0]
    wide = table.pivot(index="blocked", columns="quantity", values="value")
    texts = {"right": "I hear a bell tolling.", "distractor": "I hear a dog barking."}
    assert {forced for *_, forced in conditions_run} == set(texts.values())
    for name, text in texts.items():
        ids = random_organism.tokenizer(text, add_special_tokens=False)["input_ids"]
        for blocked, condition in zip(("nothing", "video", CONTROL + "video"), conditions, strict=True):
            expected = reference.score(random_organism, prompt, condition, ids).sum()
            assert wide.loc[blocked, name] == pytest.approx(expected, abs=2e-3)
    np.testing.assert_allclose(wide["margin"], wide["right"] - wide["distractor"])
    # Pitfall: without padding SDPA gets no mask, and a hook that edits the mask does nothing.
    assert "attention_mask" not in prompt.inputs and random_organism.decoder.config._attn_implementation == "sdpa"
    assert change(table)["value"].abs().min() > 1e-4


def test_the_first_token_comes_from_the_last_prompt_position(random_organism, conflicting):
    """Pitfall: rows typed "generated" do not choose the first token."""
    prompt = random_organism.prompt(conflicting, HEAR)
    cuts = [Condition.block(source, "video") for source in ("generated", "last+generated")]
    free, generated, both = avnb.run(random_organism, prompt, [Condition(), *cuts], forced="I hear a bell tolling.")
    assert generated.logprobs[0] == free.logprobs[0] != both.logprobs[0]
    assert (generated.logprobs[1:] != free.logprobs[1:]).any()
    table = sweep(
        random_organism,
        [conflicting],
        [HEAR],
        spans=[(0, 8)],
        blocked=["video"],
        source="generated",
        n_draws=1,
        max_new_tokens=3,
    )
    expected = avnb.run(random_organism, prompt, cuts, 3)[0].text
    assert table.set_index("blocked").loc["video", "answer"] == expected


def test_controls_draw_as_many_positions_anew_for_every_clip(random_organism, toybox_clips, conditions_run):
    for n_draws, seed in ((3, 0), (1, 1)):
        options = {"n_draws": n_draws, "seed": seed, "max_new_tokens": 2}
        sweep(random_organism, toybox_clips[:2], [HEAR], spans=[(0, 2), (2, 8)], blocked=["video"], **options)
    drawn = []
    for prompt, conditions, _ in conditions_run:
        controls = [c for c in conditions if c.rules and isinstance(c.rules[0].target, Random)]
        keys = [resolve(c, prompt, N_LAYERS, 4)[0].keys for c in controls]
        n_video = len(prompt.segments.positions("video"))
        assert all(int(k.sum()) == n_video for k in keys)
        n = len(keys) // 2
        assert all(torch.equal(a, b) for a, b in zip(keys[:n], keys[n:], strict=True))  # the same in every span
        drawn += [tuple(k.tolist()) for k in keys[:n]]
    assert len(set(drawn)) == len(drawn) == 2 * (3 + 1)


# What must come out


@pytest.mark.parametrize(("group", "other"), [("audio", "video"), ("video", "audio")])
def test_cutting_everything_is_never_having_had_it(random_organism, conflicting, group, other):
    prompt = random_organism.prompt(conflicting, HEAR)
    answer = "I hear a bell tolling."
    everywhere = Condition.block(f"{EVERYTHING_AFTER}+{other}", group)
    answer_only = Condition.block("last+generated", group)
    runs = avnb.run(random_organism, prompt, [everywhere, answer_only], forced=answer)
    cut, late = (found.logprobs for found in runs)
    absent = avnb.run(random_organism, without(prompt, group), forced=answer)[0].logprobs
    np.testing.assert_allclose(cut, absent, atol=1e-4)
    # Cut from the answer alone, it still arrives by way of the positions between; the flow map looks there.
    assert np.abs(late - absent).max() > 1e-3
    # Never shown, it also leaves no gap in the position ids, and no marks around it.
    natural = random_organism.prompt(conflicting, HEAR, modalities=(other,))
    assert len(natural) < len(prompt) - (prompt.segments.types == group).sum() or (
        natural.position_ids.max() < prompt.position_ids.max()
    )
    assert np.abs(avnb.run(random_organism, natural, forced=answer)[0].logprobs - absent).max() > 1e-3


def test_layers_whose_attention_does_nothing_show_nothing(organism_folder, conflicting):
    """Planted truth: in the first half of this decoder neither sound nor picture can matter."""
    model = silenced(organism_folder, range(4))
    spans = [*windows(N_LAYERS, 2), (0, 4)]
    changes = change(scores(model, [conflicting], HEAR, spans=spans, blocked=["video", "audio"], n_draws=1))
    silent = changes["stop"] <= 4
    np.testing.assert_allclose(changes[silent]["value"], 0, atol=1e-4)
    cuts = changes[(changes["start"] >= 4) & (changes["quantity"] != "margin")]
    assert len(cuts) and (cuts["value"].abs() > 1e-3).all()


def test_where_audio_cannot_matter_nothing_changes(organism_folder, toybox_clips):
    model = silenced(organism_folder, range(N_LAYERS))
    table = sweep(model, toybox_clips[:2], [HEAR], blocked=["audio"], n_draws=1, max_new_tokens=4)
    assert table.groupby("clip")["answer"].nunique().eq(1).all() and (change(table)["value"] == 0).all()
    edges = change(flow(model, toybox_clips[:1], HEAR, spans=[(0, 8)], n_draws=0))
    np.testing.assert_allclose(edges["value"], 0, atol=1e-4)


def planted(n_clips=30, gain=0.4, seed=0):
    """A sweep in which blocking the video helps, and nothing else does anything."""
    rng, rows = np.random.default_rng(seed), []
    for i in range(n_clips):
        base = rng.uniform(0, 0.4)
        cuts = [("nothing", 0, 0), ("video", 8, 0), ("audio", 8, 0), *((CONTROL + "video", 8, d) for d in range(3))]
        for blocked, stop, draw in cuts:
            value = base + gain * (blocked == "video") + rng.normal(0, 0.05)
            rows.append((f"c{i}", "counterfactual", HEAR, blocked, 0, stop, draw, "audio", f"{blocked} {i}", value))
    columns = ["clip", "kind", "question", "blocked", "start", "stop", "draw", "modality", "answer", "value"]
    return pd.DataFrame(rows, columns=columns)


def judged(table):
    changes = change(table)
    return verdict(effect(changes, "video", (0, 8)), effect(changes, CONTROL + "video", (0, 8)))


def test_shuffled_labels_give_nothing():
    table = planted()
    assert judged(table).stands
    rng, stands = np.random.default_rng(0), 0
    for _ in range(10):
        values = table.groupby("clip", sort=False)["value"].transform(lambda v: rng.permutation(v.to_numpy()))
        stands += judged(table.assign(value=values)).stands
    assert stands <= 1


# Information flow


def test_flow_cuts_the_edges_that_it_names(random_organism, conflicting, conditions_run):
    edges = [("video", "audio"), ("audio", "question"), ("question", "answer")]
    table = flow(random_organism, [conflicting], HEAR, spans=[(1, 4)], edges=edges, n_draws=1)
    # Only into the answer does a draw take as many (row, key) pairs as the cut.
    assert set(table["blocked"]) == {"nothing", *map(" > ".join, edges), CONTROL + "question > answer"}
    right = table[table["quantity"] == "right"].set_index("blocked")["value"]
    prompt = conditions_run[0][0]
    text = "query+template+boundary"
    rules = {"video > audio": ("audio", "video"), "audio > question": (text, "audio")}
    rules["question > answer"] = ("last+generated", text)
    ids = random_organism.tokenizer("I hear a bell tolling.", add_special_tokens=False)["input_ids"]
    for edge, (source, target) in rules.items():
        condition = Condition.block(source, target, range(1, 4))
        expected = reference.score(random_organism, prompt, condition, ids).sum()
        assert right[edge] == pytest.approx(expected, abs=2e-3)
        assert abs(right[edge] - right["nothing"]) > 1e-5


def test_controls_of_edges_take_as_much_as_the_edge(random_organism, conflicting, conditions_run):
    flow(random_organism, [conflicting], HEAR, spans=[(1, 4)], n_draws=2)
    prompt, conditions, _ = conditions_run[0]
    later = np.arange(len(prompt))
    pairs = {True: [], False: []}
    for condition in (c for _, some, _ in conditions_run for c in some if c.rules and c.rules[0].source == ANSWER):
        (cut,) = resolve(condition, prompt, N_LAYERS, 4)
        keys = cut.keys.numpy()
        seen = [keys[:row].sum() for row in later[cut.rows.numpy()]] + [keys.sum()]  # the last row, and any answer row
        pairs[isinstance(condition.rules[0].target, Random)].append(sum(seen))
    assert len(pairs[True]) == 2 * len(pairs[False]) > 0
    np.testing.assert_allclose(sorted(pairs[True]), sorted(pairs[False] * 2), atol=1)  # a draw may hold the last row
    controls = [c for _, some, _ in conditions_run for c in some if c.rules and isinstance(c.rules[0].target, Random)]
    assert {c.rules[0].source for c in controls} == {ANSWER}


def test_edges_against_the_order_carry_nothing(random_organism, conflicting):
    edges = [("question", "video"), ("answer", "audio"), ("video", "answer")]
    table = flow(random_organism, [conflicting], HEAR, spans=[(0, 8)], edges=edges, n_draws=0)
    assert set(table["blocked"]) == {"nothing", "video > answer"}
    with pytest.raises(ValueError, match="edge 'video' > 'speech' is unknown"):
        flow(random_organism, [conflicting], edges=[("video", "speech")])


# Captions and tables


def test_which_captions_are_scored(conflicting):
    assert references(conflicting, SEE) == {"right": "I see a dog.", "distractor": "I see a bell."}
    same = replace(conflicting, heard=("dog", "bell"))
    assert references(same, HEAR) == {"right": "I hear a dog barking. There is also a bell tolling."}
    free = Clip("7", "7.mp4", audio_captions=("A horn blows twice.", "A horn."))
    assert references(free, HEAR) == {"right": "A horn blows twice."}
    with pytest.raises(avnb.ClipError, match="7: it has no known video events and no video caption"):
        references(free, SEE)
    with pytest.raises(ValueError, match="asks to see and to hear"):
        references(free, BOTH)


def test_clips_that_cannot_be_judged_have_a_reason(random_organism, toybox_clips, conditions_run):
    unknown = Clip("7", toybox_clips[0].video, audio_captions=("A horn blows.",))
    table = sweep(random_organism, [unknown], [HEAR], spans=[(0, 8)], n_draws=0, max_new_tokens=2)
    assert table["value"].isna().all() and set(table["reason"]) == {"no audio events are known of it; set heard=(...)"}
    assert change(table).empty
    with pytest.raises(ValueError, match="asks neither"):
        sweep(random_organism, toybox_clips, ["What is this?"])
    bare = replace(toybox_clips[1], id="bare", heard=(), audio_captions=())
    for analysis in (scores, flow):
        conditions_run.clear()
        table = analysis(random_organism, [bare], HEAR)
        assert "no known audio events and no audio caption" in table.attrs["left_out"]["bare"]
        assert table.empty and not conditions_run
    lost = replace(toybox_clips[0], id="lost", video="lost.mp4")
    table = sweep(random_organism, [lost, toybox_clips[1]], [HEAR], spans=[(0, 8)], max_new_tokens=2)
    assert set(table["clip"]) == {toybox_clips[1].id}


def test_change_is_paired_and_draws_are_averaged():
    table = planted(n_clips=3)
    changes = change(table.sample(frac=1, random_state=0)).set_index(["clip", "blocked"])["value"]
    by_hand = table.set_index(["clip", "blocked"])["value"]
    for clip in ("c0", "c1", "c2"):
        for blocked in ("video", CONTROL + "video"):
            value = np.mean(by_hand[clip, blocked]) - by_hand[clip, "nothing"].item()
            assert changes[clip, blocked] == pytest.approx(value)
    assert len(changes) == 9
    with pytest.raises(ValueError, match="nothing in the table has blocked='query'"):
        effect(change(table), "query", (0, 8))
    twice = pd.concat([table, table.assign(question=SEE)])
    with pytest.raises(ValueError, match="several values per clip"):
        effect(change(twice), "video", (0, 8))
    assert effect(change(twice), "video", (0, 8), question=SEE).index.tolist() == ["c0", "c1", "c2"]


def test_recovered_shows_the_largest_changes():
    table = planted(n_clips=6)
    gains = {"c0": 0.0, "c1": 0.5, "c2": -0.6, "c3": 0.1, "c4": 0.3, "c5": -0.2}
    table["value"] = [gains[c] if b == "video" else 0.0 for c, b in zip(table["clip"], table["blocked"], strict=True)]
    found = recovered(table, "video", (0, 8), n=3)
    assert found["clip"].tolist() == ["c1", "c4", "c2"] and found["change"].tolist() == [0.5, 0.3, -0.6]
    assert found.loc[0, ["before", "after"]].tolist() == ["nothing 1", "video 1"]
    assert len(recovered(table, "video", (0, 8), n=9)) == 5 and recovered(table, "video", (0, 2)).empty


def test_published_curves():
    curves = paper.knockout_curves()
    assert len(curves) == 5 * 14 and set(curves["blocked"]) == {"video", "audio"}
    raw = paper.published()["knockout"]["counterfactual_video"]
    ours = curves.query("kind == 'counterfactual' and modality == 'video'")
    np.testing.assert_allclose(ours["value"] * 100 + raw["baseline"], raw["block_video"])
    number = paper.quantities()["counterfactual audio fidelity, audio blocked - baseline"]
    assert number.value == pytest.approx((12.4 - 23.1) / 100) and number.effect


# Figures


def test_figures_show_means_n_and_controls():
    table = pd.concat([planted(), planted(seed=1).assign(stop=lambda t: t["stop"] // 2)])
    table = table.drop_duplicates(["clip", "blocked", "stop", "draw"])  # one baseline
    fig = plots.curves(table, {"first": [(0, 4), (0, 8)], "last": [(4, 8), (0, 8)]}, "title")
    assert fig._suptitle.get_text() == "title (n = 30)"
    lines = {line.get_label(): line for line in fig.axes[0].lines}
    expected = table[table["blocked"] == "video"].groupby("stop")["value"].mean()
    np.testing.assert_allclose(lines["the picture"].get_ydata(), expected)
    assert lines["the picture"].get_xdata().tolist() == [4, 8] and "control: as many as the picture" in lines
    changes = change(table)
    columns = {"a": {"kind": "counterfactual"}, "b": {"question": HEAR}}
    fig = plots.panels(changes, [(0, 4), (0, 8)], "layers", columns, "title")
    assert [ax.get_title() for ax in fig.axes] == ["a (n = 30)", "b (n = 30)"]
    fig = plots.published(changes, [(0, 4), (0, 8)], "title")
    theirs = [line for line in fig.axes[0].lines if line.get_label() == f"the picture blocked, {paper.MODEL}"]
    assert theirs[0].get_ydata()[-1] == pytest.approx(0.138) and len(fig.axes) == 4
    plt.close("all")


def test_figures_of_captions_and_flow():
    table = planted().assign(quantity="right")
    moved = change(pd.concat([table, table.assign(quantity="distractor", value=-table["value"])]))
    fig = plots.words(moved, [(0, 8)], "layers", "title")
    assert [ax.get_title() for ax in fig.axes] == ["the picture blocked (n = 30)", "the sound blocked (n = 30)"]
    names = {"video": "video > answer", CONTROL + "video": CONTROL + "video > answer"}
    edges = table[table["blocked"] != "audio"].replace({"blocked": names})
    half = edges[edges["blocked"] != "nothing"].assign(stop=4)
    fig = plots.flow(change(pd.concat([edges, half])), [(0, 4)], N_LAYERS)
    assert fig._suptitle.get_text() == "Of the edges with a control, video → answer carries most: +0.4 nats"
    heat = fig.axes[1]
    assert [t.get_text() for t in heat.get_xticklabels()] == ["0–3", "all"]
    assert len(heat.collections[1].get_offsets()) == 2  # both stand out
    # A larger change without a control gets neither a dot nor the title, and its arrow is dashed.
    inner = edges[edges["blocked"] == "video > answer"].assign(blocked="video > audio", value=9)
    fig = plots.flow(change(pd.concat([edges, inner])), [], N_LAYERS)
    assert "video → answer carries most: +0.4" in fig._suptitle.get_text()
    assert len(fig.axes[1].collections[1].get_offsets()) == 1
    assert [arrow.get_linestyle() == "-" for arrow in fig.axes[0].patches] == [True, False]
    # Nor does one that its control shows as well.
    same = edges.assign(value=edges["value"].where(edges["blocked"] == "nothing", 1.0))
    fig = plots.flow(change(pd.concat([same, inner])), [], N_LAYERS)
    assert fig._suptitle.get_text() == "Cut in all layers, no edge stands out from its control"
    plt.close("all")
