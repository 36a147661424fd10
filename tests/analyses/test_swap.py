"""The two-by-two swap design against least squares, planted models, and a full forward pass."""

from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from avnb import plots, swap
from avnb.engine import Condition
from avnb.media.clip import Clip, read_audio

HEAR = "Describe what you hear."


def named(name, *events, **more):
    return Clip(name, f"{name}.mp4", seen=events[:1], heard=events, **more)


def as_table(margin):
    rows = [
        (f"{i}", v, s, m[j][k]) for i, m in enumerate(margin) for j, v in enumerate("ab") for k, s in enumerate("ab")
    ]
    return pd.DataFrame(rows, columns=["clip", "video", "audio", "value"])


def test_effects_are_those_of_a_linear_model():
    margin = np.random.default_rng(0).normal(size=(7, 2, 2))
    for one, effect in zip(margin, swap.effects(margin), strict=True):
        cells = list(product([1, 0], [1, 0]))  # is the picture, the sound that of clip a?
        design = [[1, audio, video] for video, audio in cells]
        fitted = np.linalg.lstsq(np.array(design), np.array([one[1 - v, 1 - s] for v, s in cells]), rcond=None)[0]
        assert effect == pytest.approx(fitted[1:])


def test_shortcut_index():
    assert swap.shortcut_index([[3.0, 0.0], [1.0, 0.0]]) == 0
    assert swap.shortcut_index([[0.0, 3.0], [0.0, -1.0]]) == 1
    assert swap.shortcut_index([[1.0, -2.0], [-3.0, -4.0]]) == pytest.approx(3 / 4)  # of the means, whatever their sign
    many = np.random.default_rng(0).normal(size=(5, 9, 2))
    assert swap.shortcut_index(many) == pytest.approx([swap.shortcut_index(one) for one in many])


def test_summary_resamples_pairs():
    rng = np.random.default_rng(1)
    margin = rng.normal([[4, -2], [2, -4]], 2, size=(50, 2, 2))
    found = swap.summary(as_table(margin).sample(frac=1, random_state=0))
    effect = np.array([[m.mean(0)[0] - m.mean(0)[1], m.mean(1)[0] - m.mean(1)[1]] for m in margin])
    draws = effect[rng.integers(50, size=(4000, 50))].mean(1)
    expected = {
        "sound": (effect[:, 0].mean(), draws[:, 0]),
        "picture": (effect[:, 1].mean(), draws[:, 1]),
        "shortcut index": (abs(effect[:, 1].mean()) / abs(effect.mean(0)).sum(), abs(draws[:, 1]) / abs(draws).sum(1)),
    }
    assert found.keys() == expected.keys()
    for name, (mean, values) in expected.items():
        width = np.ptp(np.quantile(values, [0.025, 0.975]))
        assert found[name].mean == pytest.approx(mean) and found[name].n == 50
        assert found[name][1:3] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.07 * width)
    assert swap.summary(as_table(margin)) == found
    assert np.isnan(swap.summary(as_table(margin[:1]))["shortcut index"].low)


def test_effects_pair_by_pair():
    margin = np.random.default_rng(2).normal(size=(6, 2, 2))
    long = swap.by_pair(as_table(margin).sample(frac=1, random_state=0))
    wide = long.pivot(index="clip", columns="modality", values="value")[["audio", "video"]]
    np.testing.assert_allclose(wide, swap.effects(margin))
    figure = plots.fidelity.swap(as_table(margin), long.assign(question=HEAR), "title")
    left, right = figure.axes
    shown = [float(text.get_text().split("\n")[0]) for text in left.texts]
    assert shown == pytest.approx(margin.mean(0).ravel(), abs=0.05)
    means = [line.get_ydata()[0] for line in right.lines if line.get_marker() == "D"]
    assert means == pytest.approx(swap.effects(margin).mean(0))
    plt.close(figure)


def test_pairs_share_no_event():
    clips = [named("0", "dog"), named("1", "dog", "bell"), named("2", "bell"), named("3", "cat"), named("4", "cat")]
    found = swap.pairs(clips)
    assert [(a.id, b.id) for a, b in found] == [("0", "2"), ("1", "3")]  # 4 finds nobody
    assert swap.pairs(iter(clips)) == found
    hidden = [named("0", "bell"), named("1", "dog", "bell"), named("2", "cat")]  # 1 sounds like 0 and does not show it
    assert [(a.id, b.id) for a, b in swap.pairs(hidden)] == [("0", "2")]
    assert [(a.id, b.id) for a, b in swap.pairs(hidden[::-1])] == [("2", "1")]
    assert swap.pairs(clips[3:]) == [] and swap.pairs([*clips, Clip("x", "x.mp4")]) == found
    alone = {job.id for job in swap.plan([*clips, Clip("x", "x.mp4")]) if job.other is None}
    assert alone == {"4", "x"}


def test_captions_tell_clips_apart_where_no_event_is_listed():
    texts = {"a": "A dog barks.", "b": "Dogs howl.", "c": "A horn blows.", "d": "Steps in snow."}
    clips = [Clip(i, f"{i}.mp4", video_captions=(text,), audio_captions=(text,)) for i, text in texts.items()]
    assert [(a.id, b.id) for a, b in swap.pairs(clips)] == [("a", "c"), ("b", "d")]


class Planted:
    """A model whose log-probabilities of an answer depend on the sound by `audio`, on the picture by `video`."""

    def __init__(self, monkeypatch, audio, video):
        self.weights, self.asked = (video, audio), []
        monkeypatch.setattr(swap, "run_all", self.run_all)

    def prompt(self, clip, question):
        self.asked.append((clip, question))
        return clip.id.split("+")

    def run_all(self, model, requests):
        assert all(request.conditions == [Condition()] * len(request.forced) for request in requests)
        return [[self._scored(request.prompt, answer) for answer in request.forced] for request in requests]

    def _scored(self, prompt, answer):
        return SimpleNamespace(logprobs=np.array([self._fit(prompt, answer) - 1.0, -2.0]))

    def _fit(self, prompt, answer):
        return sum(weight * (answer == f"It is {source}.") for weight, source in zip(self.weights, prompt, strict=True))


@pytest.mark.parametrize(("audio", "video", "index"), [(3, 0, 0), (0, 2, 1), (1, 3, 0.75)])
def test_planted_models(monkeypatch, toybox_clips, tmp_path, audio, video, index):
    clips = [replace(c, audio_captions=(f"It is {c.id}.", "Or not.")) for c in toybox_clips]
    other_kind = replace(clips[0], id="swapped", kind="counterfactual")
    model = Planted(monkeypatch, audio, video)
    table = swap.margins(model, [other_kind, *clips], out=tmp_path)
    n_pairs = len(swap.pairs(clips))
    assert (
        table.columns.tolist() == ["clip", "kind", "question", "video", "audio", "value"] and len(table) == 4 * n_pairs
    )
    assert {question for _, question in model.asked} == {HEAR} and "swapped" not in "".join(table["clip"])
    found = swap.summary(table)
    assert found["sound"].mean == 2 * audio and found["picture"].mean == 2 * video
    assert found["shortcut index"].mean == pytest.approx(index)
    mute = [replace(c, video_captions=()) for c in clips]
    table = swap.margins(model, mute, out=tmp_path, field="video_captions")
    assert table.empty and "has no video_captions" in next(iter(table.attrs["left_out"].values()))


def test_four_files_of_which_none_is_written_twice(monkeypatch, toybox_clips, tmp_path):
    pair = swap.pairs(toybox_clips)[0]
    model = Planted(monkeypatch, 1, 1)
    table = swap.margins(model, pair, out=tmp_path)
    a, b = (clip.id for clip in pair)
    files = {path.stem: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
    assert files.keys() == {f"{a}+{a}", f"{a}+{b}", f"{b}+{a}", f"{b}+{b}"}
    for clip, _ in model.asked:  # the sound is that of the second name, its own one written anew like the others
        wave, own = (
            read_audio(path)[:40_000] for path in (clip.video, (pair[0] if clip.id.endswith(a) else pair[1]).video)
        )
        assert np.corrcoef(wave, own)[0, 1] > 0.95
    next(tmp_path.rglob(f"{a}+{b}.mp4")).unlink()
    pd.testing.assert_frame_equal(swap.margins(model, pair, out=tmp_path), table)
    again = {path.stem: path.stat().st_mtime_ns for path in tmp_path.rglob("*.mp4")}
    assert {name for name in files if files[name] != again[name]} == {f"{a}+{b}"}


@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize(("change", "said"), [({"video": "lost.mp4"}, "does not exist"), ({}, "has no audio_captions")])
def test_a_pair_is_left_out_as_two_clips_and_the_bad_one_is_named(
    monkeypatch, toybox_clips, tmp_path, caplog, lost, change, said
):
    pair = list(swap.pairs(toybox_clips)[0])
    pair[lost] = replace(pair[lost], **(change or {"audio_captions": ()}))
    table = swap.margins(Planted(monkeypatch, 1, 1), pair, out=tmp_path)
    bad, partner = pair[lost].id, pair[1 - lost].id
    found = table.attrs["left_out"]
    assert table.empty and list(found) == [clip.id for clip in pair]
    assert said in found[bad] and found[partner] == f"its partner {bad} cannot be used: {found[bad]}"
    assert all(f"left out clip {clip.id}: {found[clip.id]}" in caplog.messages for clip in pair)


def test_of_a_pair_whose_memory_runs_short_both_are_asked_about_again(monkeypatch, toybox_clips, tmp_path):
    pair, model = swap.pairs(toybox_clips)[0], Planted(monkeypatch, 1, 1)

    def run_all(model, requests):
        raise MemoryError("no room")

    monkeypatch.setattr(swap, "run_all", run_all)
    table = swap.margins(model, pair, out=tmp_path)
    assert table.attrs["passing"] == [clip.id for clip in pair]
    assert set(table.attrs["left_out"].values()) == {"no room"}, "neither is to blame"


def test_margins_are_log_probabilities_of_a_full_pass(random_organism, toybox_clips, tmp_path):
    pair = swap.pairs(toybox_clips)[0]
    table = swap.margins(random_organism, pair, "Describe what you see.", out=tmp_path, field="video_captions")
    for row in table.iloc[1:3].itertuples():  # the two swapped ones
        picture, sound = pair["ab".index(row.video)], pair["ab".index(row.audio)]
        clip = Clip("", next(tmp_path.rglob(f"{picture.id}+{sound.id}.mp4")))
        a, b = (scored(random_organism, clip, c.video_captions[0]) for c in pair)
        assert row.value == pytest.approx(a - b, abs=1e-3)


@torch.inference_mode()
def scored(model, clip, answer):
    """log p(answer | clip) in one forward pass of the whole model, answer included."""
    inputs = model._inputs(clip, "Describe what you see.", ("video", "audio"))
    answer = model.tokenizer(answer, add_special_tokens=False, return_tensors="pt")["input_ids"]
    n = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat([inputs["input_ids"], answer], 1)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    logprobs = model.hf(**inputs).logits[0, n - 1 : -1].float().log_softmax(-1)
    return float(logprobs.gather(1, answer[0, :, None]).sum())
