"""Token distribution shift: against full forward passes, on planted differences, and what counts as an audio event."""

import copy
import re
from dataclasses import replace
from types import SimpleNamespace

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

matplotlib.use("agg")

import avnb
from avnb import models, paper, plots, study, swap, tokens
from avnb.models.native import AVModel
from avnb.organisms import omni as organism
from avnb.questions import HEAR
from avnb.study import fingerprints

N_TOKENS = 5


@pytest.fixture(scope="module")
def model(random_organism):
    """The random organism, which never stops."""
    model = AVModel(random_organism.hf, random_organism.processor, "hears")
    model.stop_ids = set()
    return model


@pytest.fixture(scope="module")
def base():
    """A model with random weights that only sees, and has the same tokens."""
    torch.manual_seed(1)
    processor = organism.build_processor()
    ids = {name: getattr(processor.tokenizer, f"{name}_token_id") for name in ("video", "image")}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(processor.tokenizer),
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "initializer_range": 0.3,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]},
        },
        vision_config={"depth": 1, "hidden_size": 64, "num_heads": 2, "patch_size": 16, "out_hidden_size": 64},
        video_token_id=ids["video"],
        image_token_id=ids["image"],
        vision_start_token_id=processor.tokenizer.vision_bos_token_id,
        vision_end_token_id=processor.tokenizer.vision_eos_token_id,
    )
    processor = Qwen2_5_VLProcessor(
        image_processor=processor.image_processor,
        video_processor=processor.video_processor,
        tokenizer=processor.tokenizer,
        chat_template=processor.chat_template,
    )
    return AVModel(Qwen2_5_VLForConditionalGeneration(config), processor, "sees")


@pytest.fixture(scope="module")
def pair(toybox_clips):
    """Two clips that share nothing, so that each can lend its sound to the other only."""
    return swap.pairs(toybox_clips)[0]


@pytest.fixture(scope="module")
def table(model, base, pair):
    return tokens.shift(model, pair, base=base, max_new_tokens=N_TOKENS)


def other_model(model, name, change):
    """A copy of a model, changed."""
    hf = copy.deepcopy(model.hf)
    with torch.no_grad():
        change(hf)
    changed = AVModel(hf, model.processor, name)
    changed.stop_ids = set()
    return changed


def probabilities(model, inputs, answer):
    """float64 [n_tokens, vocabulary]: the next-token distributions before each token of an answer, in one pass."""
    n_prompt = inputs["input_ids"].shape[1]
    inputs = dict(inputs)
    for name, more in (
        ("input_ids", answer),
        ("attention_mask", [1] * len(answer)),
        ("mm_token_type_ids", [0] * len(answer)),
    ):
        if name in inputs:
            inputs[name] = torch.cat([inputs[name], torch.tensor([more])], dim=1)
    with torch.inference_mode():
        logits = model.hf(**inputs).logits[0, n_prompt - 1 : -1].double().numpy()
    exponential = np.exp(logits - logits.max(-1, keepdims=True))
    return exponential / exponential.sum(-1, keepdims=True)


def test_every_number_is_that_of_full_forward_passes(model, base, pair, table):
    assert set(table["clip"]) == {clip.id for clip in pair}
    for clip, other in (pair, pair[::-1]):
        frames, wave, borrowed = clip.frames(fps=1.0)[0], clip.wave(), other.wave()
        inputs = model.process(frames, wave, HEAR)
        answer = model.hf.generate(**inputs, max_new_tokens=N_TOKENS, min_new_tokens=N_TOKENS, do_sample=False)
        answer = answer[0, inputs["input_ids"].shape[1] :].tolist()
        p = probabilities(model, inputs, answer)
        baselines = {
            "base model": (base, base.process(frames, None, HEAR)),
            "without audio": (model, model.process(frames, None, HEAR)),
            "other audio": (model, model.process(frames, borrowed, HEAR)),
            "text only": (model, model.process(None, None, HEAR)),
            "base, text only": (base, base.process(None, None, HEAR)),
        }
        special = set(model.tokenizer.all_special_ids)
        for name, (which, shown) in baselines.items():
            rows = table[(table["clip"] == clip.id) & (table["against"] == name)].set_index("step")
            assert rows.index.tolist() == [i for i, token in enumerate(answer) if token not in special]
            q = probabilities(which, shown, answer)
            for step, row in rows.iterrows():
                said, expected = p[step], q[step]
                assert row["token_id"] == answer[step]
                assert row["kl"] == pytest.approx((said * np.log(said / expected)).sum(), rel=1e-3, abs=1e-6)
                assert row["kl_reverse"] == pytest.approx(
                    (expected * np.log(expected / said)).sum(), rel=1e-3, abs=1e-6
                )
                assert row["entropy"] == pytest.approx(-(said * np.log(said)).sum(), rel=1e-4)
                assert row["base_entropy"] == pytest.approx(-(expected * np.log(expected)).sum(), rel=1e-4)
                better = (expected > expected[answer[step]] * (1 + 1e-4)).sum()
                assert 1 + better <= row["base_rank"] <= 1 + (expected > expected[answer[step]] * (1 - 1e-4)).sum()
                assert row["base_token"] == which.tokenizer.decode([expected.argmax()])
    means = table.groupby("against")["kl"].mean()
    assert (means > 1e-6).all() and means["base model"] > 10 * means["without audio"]


def test_bins_are_ranks(table):
    expected = pd.cut(table["base_rank"], [0, 1, 3, np.inf], labels=tokens.BINS).astype(object)
    assert table["bin"].tolist() == expected.tolist()
    assert set(table["bin"]) == set(tokens.BINS)


def test_a_model_is_not_shifted_from_itself(model, pair):
    mute = avnb.Clip("mute", pair[0].video, kind="mute", seen=pair[0].seen)
    table = tokens.shift(model, [*pair, mute], base=model, max_new_tokens=N_TOKENS)
    silent = table[(table["clip"] == "mute") & table["against"].isin(["base model", "without audio"])]
    assert len(silent) and np.allclose(silent[["kl", "kl_reverse"]], 0, atol=1e-6)
    assert (silent["base_rank"] == 1).all() and (silent["bin"] == "unshifted").all()
    assert not table["is_audio"].any() or not table.loc[table["clip"] == "mute", "right"].any()
    wide = table.pivot(index=["clip", "step"], columns="against", values="kl")
    np.testing.assert_allclose(wide["base model"], wide["without audio"], atol=1e-9)
    assert (wide["other audio"] > 1e-6).any()


def test_a_planted_difference_is_found(model, pair):
    """The base holds two tokens for each other: at every step only their probabilities are exchanged."""
    mute = avnb.Clip("mute", pair[0].video, kind="mute", seen=pair[0].seen)
    prompt = model.prompt(mute, HEAR)
    answer = avnb.run(model, prompt, max_new_tokens=N_TOKENS)[0].token_ids
    said, least = (
        int(answer[0]),
        int(avnb.run(model, prompt, forced=answer, capture=avnb.Capture(logits=True))[0].logits[0].argmin()),
    )

    def exchange(hf):
        hf.lm_head.weight[[said, least]] = hf.lm_head.weight[[least, said]]

    table = tokens.shift(model, [mute, *pair], base=other_model(model, "planted", exchange), max_new_tokens=N_TOKENS)
    rows = table[(table["clip"] == "mute") & (table["against"] == "base model")]
    p = probabilities(model, model.process(pair[0].frames(fps=1.0)[0], None, HEAR), answer.tolist())
    for row in rows.itertuples():
        a, b = p[row.step, said], p[row.step, least]
        assert row.kl == pytest.approx((a - b) * np.log(a / b), rel=1e-3, abs=1e-7)
        assert row.kl_reverse == pytest.approx(row.kl, rel=1e-6, abs=1e-9)
        assert row.base_entropy == pytest.approx(row.entropy, rel=1e-6)
        assert (row.base_rank == 1) == (row.token_id != said)
    first = rows.iloc[0]
    assert first["base_rank"] == len(tokens.common_tokens(model, model)) and first["bin"] == "shifted"
    assert first["base_token"] == model.tokenizer.decode([least])


def test_padding_of_a_vocabulary_is_left_out(model, pair, table):
    def pad(hf):
        n, width = hf.lm_head.weight.shape
        hf.lm_head = torch.nn.Linear(width, n + 40, bias=False)
        hf.lm_head.weight[:n] = model.hf.lm_head.weight
        hf.lm_head.weight[n:] *= 30
        hf.model.language_model.config.vocab_size = n + 40

    padded = other_model(model, "padded", pad)
    assert len(tokens.common_tokens(model, padded)) == len(model.tokenizer)
    found = tokens.shift(model, pair, base=padded, max_new_tokens=N_TOKENS).set_index(["against", "clip", "step"])
    expected = found.loc["without audio"]
    pd.testing.assert_frame_equal(found.loc["base model"], expected, check_exact=False, atol=1e-9)


def stand_in(name, vocabulary, special, size=None):
    tokenizer = SimpleNamespace(get_vocab=lambda: vocabulary | special, get_added_vocab=lambda: special)
    size = size or len(vocabulary) + len(special)
    return SimpleNamespace(
        name=name, tokenizer=tokenizer, decoder=SimpleNamespace(config=SimpleNamespace(vocab_size=size))
    )


def test_common_tokens_mean_the_same():
    words = {"a": 0, "b": 1, "c": 2}
    hears = stand_in("hears", words, {"<end>": 3, "<AUDIO>": 4}, size=8)
    sees = stand_in("sees", words, {"<end>": 3, "<box>": 4, "<more>": 6})
    assert tokens.common_tokens(hears, sees).tolist() == [0, 1, 2, 3]
    for vocabulary in ({"a": 0, "b": 2, "c": 1}, {"a": 0, "b": 1}, {**words, "d": 5}):
        with pytest.raises(
            ValueError, match="hears and other have different vocabularies .* such as '[bcd]'.*give as base"
        ):
            tokens.common_tokens(hears, stand_in("other", vocabulary, {"<end>": 3}))
    hears.tokenizer = None
    with pytest.raises(ValueError, match="hears has no tokenizer"):
        tokens.common_tokens(sees, hears)


def test_model_and_base_see_the_same_frames(model, base, pair, monkeypatch):
    settings = getattr(base.hf.config, "processor_kwargs", None) or {}
    monkeypatch.setattr(base.hf.config, "processor_kwargs", settings | {"fps": 4.0}, raising=False)
    assert base.fps == 4.0
    shown, process = [], AVModel.process
    monkeypatch.setattr(AVModel, "process", lambda self, *args: shown.append(args[0]) or process(self, *args))
    tokens.shift(model, pair[:1], base=base, max_new_tokens=2)
    assert {len(frames) for frames in shown if frames is not None} == {4}


def test_base_by_name():
    assert models.base_of("toy-omni") == "toy-vl"
    with pytest.raises(ValueError, match="no vision-language base is known for 'me/mine'; name it: base="):
        models.base_of("me/mine")


def test_a_model_is_compared_with_its_own_base(model, base, pair, table, monkeypatch):
    monkeypatch.setattr(tokens, "load", {"my/base": base}.__getitem__)
    monkeypatch.setattr(tokens, "base_of", {model.name: "my/base"}.__getitem__)
    found = tokens.shift(model, pair, max_new_tokens=N_TOKENS)
    pd.testing.assert_frame_equal(found, table)


def test_a_table_on_disk_is_of_a_named_base(model, base, pair, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "load", {"my/base": base}.__getitem__)
    monkeypatch.setattr(models, "base_of", {model.name: "my/base"}.__getitem__)
    study.measure("tokens", model, pair, dataset="pair", out=tmp_path, max_new_tokens=1)
    about = study.read_about(next(tmp_path.glob("*.parquet")))
    assert about["parameters"]["base"] == "my/base"
    assert about["fingerprints"]["weights"] == [fingerprints.model_fingerprint(one) for one in (model, base)]


def labelled(model, text, **clip):
    ids = model.tokenizer(text)["input_ids"]
    table = tokens.label(model.tokenizer, ids, avnb.Clip("0", "0.mp4", **clip))
    assert "".join(table["token"]) == text and table["token_id"].tolist() == ids
    return table


def test_what_names_an_audio_event(model):
    table = labelled(model, "I hear a siren wailing. I also hear a dog barking.", heard=("ambulance",), seen=("dog",))
    named = table[table["is_audio"]]
    assert named["token"].str.strip().tolist() == ["siren", "wailing", "dog", "barking"]
    assert named["event"].tolist() == ["ambulance", "ambulance", "dog", "dog"]
    assert named["first"].tolist() == [True, False, True, False]
    assert named["right"].tolist() == [True, True, False, False]
    assert (table["hallucinated"] == (table["is_audio"] & ~table["right"])).all()
    assert table.loc[~table["is_audio"], "event"].isna().all()


def test_what_is_said_of_the_picture_is_no_audio_event(model):
    table = labelled(
        model, "I see a dog. I hear a bell. The video shows a bell and a cat.", heard=("bell",), seen=("dog",)
    )
    assert table.loc[table["is_audio"], ["token", "step"]].values.tolist() == [[" bell", 8]]


def test_every_piece_of_a_word_counts(model):
    table = labelled(model, "I hear Déjà vu, Trumpeting and a debarking.", heard=("bell",))
    pieces = table[table["is_audio"]]
    assert len(pieces) > 1 and "".join(pieces["token"]).strip() == "Trumpeting"
    assert set(pieces["event"]) == {"trumpet"} and pieces["first"].tolist() == [True, *[False] * (len(pieces) - 1)]


def test_nothing_is_right_in_a_mute_clip(model):
    table = labelled(model, "I hear a dog barking.", heard=("dog",), kind="mute")
    assert table["is_audio"].sum() == 2 and not table["right"].any()


def test_bad_clips(model, base, pair):
    alone = tokens.shift(model, pair[:1], base=base, max_new_tokens=2)
    assert set(alone["against"]) == set(tokens.BASELINES) - {"other audio"}, "no clip can lend it a sound"
    plain = replace(pair[0], heard=(), seen=(), audio_captions=("A noise.",))
    table = tokens.shift(model, [plain, pair[1]], base=base, max_new_tokens=2)
    assert (
        set(table["clip"]) == {clip.id for clip in pair} and not table.loc[table["clip"] == plain.id, "is_audio"].any()
    )
    lost = replace(pair[0], video="lost.mp4", audio=pair[0].video, id="lost")
    table = tokens.shift(model, [lost, *pair], base=base, max_new_tokens=2)
    assert set(table["clip"]) == {clip.id for clip in pair}


def made_up(n_clips=6):
    """Answers of ten tokens, two of which name an event: heard in factual clips, not in the others."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n_clips):
        kind = "factual" if i % 2 else "counterfactual"
        for baseline in tokens.BASELINES:
            for step in range(10):
                named = step in (4, 7)
                rank = int(rng.integers(1, 6))
                rows.append(
                    {
                        "clip": f"clip-{i}", "kind": kind, "against": baseline, "step": step, "token": f" <t{step}>",
                        "event": "dog" if named else None, "is_audio": named, "first": step == 4,
                        "right": named and kind == "factual", "hallucinated": named and kind != "factual",
                        "kl": i + (100.0 if named else 0.0), "kl_reverse": 1.0, "base_rank": rank, "base_token": " a",
                        "bin": tokens.BINS[0 if rank == 1 else 1 if rank < 4 else 2],
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def test_an_answer_of_event_words_alone_has_no_others():
    table = made_up()
    groups = tokens.by_group(table.assign(is_audio=table["is_audio"] | (table["clip"] == "clip-0")))
    drawn = groups[groups["group"] == "as many others"]
    assert not drawn["is_audio"].any() and "clip-0" not in set(drawn["clip"]) and "clip-1" in set(drawn["clip"])


def test_groups_of_tokens():
    table = made_up()
    groups = tokens.by_group(table)
    n = groups.groupby(["group", "against"]).size().unstack()
    assert n["base model"].to_dict() == dict(zip(tokens.GROUPS, [60, 12, 6, 6, 6, 12], strict=True))
    drawn = groups[groups["group"] == "as many others"]
    assert (drawn.groupby(["clip", "against"]).size() == 2).all()
    steps = drawn.groupby(["clip", "against"])["step"].apply(frozenset).unstack()
    assert (steps.nunique(axis=1) == 1).all() and steps["base model"].nunique() > 1
    again = tokens.by_group(table, seed=1)
    assert drawn["step"].tolist() != again.loc[again["group"] == "as many others", "step"].tolist()


def test_random_tokens_are_the_null_of_named_ones():
    """What is planted in the tokens that name an event shows there, and not in as many of the others."""
    found = tokens.summary(made_up(200)).query("quantity == 'kl' and against == 'base model'")
    mean = found.groupby("group")["mean"].mean()
    assert mean["audio events"] - mean["all"] == pytest.approx(80)
    assert mean["audio events"] - mean["as many others"] == pytest.approx(100)


def test_summary_counts_clips():
    table = made_up()
    found = tokens.summary(table).set_index(["kind", "against", "group", "quantity"])
    row = found.loc[("factual", "text only", "audio events", "kl")]
    assert row["n"] == 3 and row["mean"] == pytest.approx(100 + (1 + 3 + 5) / 3)
    assert ("factual", "text only", "hallucinated", "kl") not in found.index
    rows = table.query("kind == 'factual' and against == 'base model' and is_audio")
    for name, limit in (("unshifted", 1), ("within top 3", 3)):
        expected = (rows["base_rank"] <= limit).groupby(rows["clip"]).mean().mean()
        assert found.loc[("factual", "base model", "audio events", name), "mean"] == pytest.approx(expected)


def test_headline_is_what_the_study_states():
    table = made_up()
    found = tokens.headline(table)
    compared = paper.compare(found).set_index("quantity")
    assert compared.loc["unshifted, audio tokens", "paper"] == "0.66"
    assert compared.loc["KL to the base, audio tokens", "paper"] == "0.40"
    shares = [found[f"{name}, audio tokens"].mean for name in tokens.BINS]
    assert sum(shares) == pytest.approx(1)
    assert found["within top 3, audio tokens"].mean == pytest.approx(sum(shares[:2]))
    assert found["KL to the base, audio tokens"].mean == pytest.approx(102.5) and found["shifted, audio tokens"].n == 6
    assert tokens.headline(table[~table["is_audio"]])["shifted, audio tokens"] is None


def test_the_coloured_caption():
    table = made_up()
    page = plots.tokens.caption(table, "clip-1").data
    assert "<script" not in page and "on" + "click" not in page
    plain = re.sub(r"<[^>]+>", "", page.split("<figcaption")[0])
    caption = "".join(f" &lt;t{step}&gt;" + ("✓" if step in (4, 7) else "") for step in range(10))
    assert plain == "".join(f"{name}{caption}" for name in tokens.BASELINES)
    row = table.query("clip == 'clip-1' and against == 'text only' and step == 7").iloc[0]
    said = f"rank {row['base_rank']}, KL {row['kl']:.2f} nats; most probable: a; names dog, which is heard"
    colours = plots.tokens.BINS[row["bin"]]
    told = f'title="{re.escape(said)}" data-says="&lt;t7&gt;: {re.escape(said)}"'
    assert re.search(f'{told} style="background:{colours[1]};color:{colours[2]}', page)
    stops = re.findall(r'tabindex="0" role="note" aria-label="([^"]*)"', page)
    assert len(stops) == 2 * len(tokens.BASELINES) and all("; names dog" in stop for stop in stops)
    assert ".avnb-token:focus::after" in page
    one = plots.tokens.caption(table, avnb.Clip("clip-0", "0.mp4"), ["other audio"]).data
    assert "✗" in one and "text only" not in one
    with pytest.raises(ValueError, match="no tokens of clip 'clip-99'"):
        plots.tokens.caption(table, "clip-99")
    with pytest.raises(ValueError, match="no baseline 'noise'; use some of base model, without audio"):
        plots.tokens.caption(table, "clip-1", ["noise"])


def luminance(colour):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(colour)]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def test_bins_are_told_apart_by_lightness_and_can_be_read():
    levels = [luminance(colour) for _, colour, _ in plots.tokens.BINS.values()]
    assert levels == sorted(levels, reverse=True)
    contrasts = [(a + 0.05) / (b + 0.05) for a, b in zip(levels, levels[1:], strict=False)]
    assert min(contrasts) > 1.5
    for _, background, text in plots.tokens.BINS.values():
        dark, light = sorted([luminance(background), luminance(text)])
        assert (light + 0.05) / (dark + 0.05) >= 7


def test_figures_show_the_summary():
    found = tokens.summary(made_up())
    fig = plots.tokens.bins(found, published={"unshifted": 0.66, "within top 3": 0.85})
    kinds = found["kind"].unique()
    for ax, kind in zip(fig.axes, kinds, strict=True):
        rows = found[(found["kind"] == kind) & (found["group"] == "first of an event")]
        rows = rows.set_index(["quantity", "against"])["mean"]
        drawn = [line.get_xdata() for line in ax.lines if line.get_marker() == "o"]
        np.testing.assert_allclose(drawn[0], rows.loc["unshifted"])
        np.testing.assert_allclose(drawn[1], rows.loc["within top 3"])
        assert "(n = 3)" in ax.get_title()
    fig = plots.tokens.divergence(found)
    labels = [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert labels[0] == "all (n = 3)" and not any("(n = 0)" in label for label in labels if "right" not in label)
    points = np.asarray(fig.axes[0].lines[0].get_xdata(), dtype=float)
    rows = found.query("kind == @kinds[0] and quantity == 'kl' and against == 'base model'").set_index("group")["mean"]
    shown = [group for group in tokens.GROUPS if any(label.startswith(f"{group} (") for label in labels)]
    np.testing.assert_allclose(points, rows.reindex(shown))
    matplotlib.pyplot.close("all")
