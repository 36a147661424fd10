"""Clips with plain captions and no list of events: every analysis goes on by words, and says what it could not do."""

import nbformat
import pandas as pd
import pytest
import torch
from transformers import Qwen2Config

import avnb
from avnb import judge, knockout, lens, study, tokens
from avnb.analyses import fidelity, states
from avnb.datasets import curate
from avnb.engine import needs
from avnb.judge.references import references
from avnb.media.clip import Clip
from avnb.questions import HEAR, SEE
from avnb.study import notebooks as batch
from tests import plain

DOG = Clip(
    "dog", "", audio_captions=("A small dog barks loudly.", "Dogs are barking twice."), video_captions=("A grey cat.",)
)
BELL = Clip("bell", "", audio_captions=("The bark of a hound, then a bell.",))


@pytest.fixture(scope="module")
def clips():
    return plain.clips(4)


def test_the_judge_follows_what_is_known():
    listed = Clip("a", "", seen=("dog",), heard=("bell",), audio_captions=("A bell.",), video_captions=("A dog.",))
    assert judge.suited([listed]) == "events"
    assert judge.suited([DOG, listed, BELL]) == "words"
    assert judge.suited([Clip("b", "")]) == "events"  # which says what is missing


def test_what_cannot_be_judged_is_told():
    told = judge.told("words", [DOG, BELL])
    assert "the picture of 1 of 2 clips: it has no video caption" in told and "the sound" not in told
    assert "Not measured" not in judge.told("words", [DOG])
    assert "the sound of 2 of 2 clips: no audio events are known" in judge.told("events", [DOG, BELL])


def test_targets_are_nouns_and_verbs_of_the_sound_each_by_one_name():
    assert lens.targets([DOG, BELL], "words") == ("barks", "bell", "dog", "hound")
    assert lens.targets([DOG, BELL]) == ()
    assert lens.targets([Clip("a", "", heard=("chain saw", "dog"))]) == ("chain saw", "dog")


def test_the_most_frequent_targets_stay_if_they_are_too_many(monkeypatch):
    monkeypatch.setattr(lens, "MOST_TARGETS", 1)
    assert lens.targets([BELL, DOG], "words") == ("bark",)  # named after its first clip


def test_ranks_by_sorting_are_those_by_counting():
    logits = torch.randn(7, 50, generator=torch.manual_seed(0)).round(decimals=1)  # with equal ones
    spellings = [[3], [8, 9], [0, 20, 49]]
    ranks, best = states.best_of(spellings)(logits)
    for row, one in enumerate(logits):
        for i, ids in enumerate(spellings):
            assert ranks[row, i] == 1 + int((one > one[ids].max()).sum())
            assert one[best[row, i]] == one[ids].max()


def test_the_lens_looks_for_words_and_leaves_out_what_no_token_spells(clips):
    model = avnb.load("toy-omni")
    strange = [Clip(clips[0].id, clips[0].video, audio_captions=("A dog yzzx, then a bell.",)), clips[1]]
    table = lens.event_ranks(model, strange, judge="words")
    first = table[table["clip"] == clips[0].id]
    assert set(first.loc[first["heard"], "event"]) == {"bell", "dog"} and "yzzx" not in set(table["event"])
    assert table.groupby(["clip", "layer"])["null"].sum().round(6).eq(1).all()


def test_what_is_seen_alone_is_elsewhere_in_words(clips):
    table = fidelity.measure(avnb.load("toy-omni"), clips, [HEAR], inputs=["both"], judge="words")
    assert table["value"].notna().all()
    for row, clip in zip(table.itertuples(), clips, strict=True):
        words = " ".join(clip.video_captions).lower()
        assert row.elsewhere and all(word in words for word in row.elsewhere)
        assert not {*row.elsewhere} & {*row.matched, *row.missed}
    assert set(fidelity.confusions(table)["value"]) <= {0, 1}
    said = table.iloc[:2].assign(matched=[("barks",), ()], missed=[(), ("barking",)], invented=[(), ()], kind="factual")
    assert fidelity.chance(said).empty  # whatever the inflection, the two hold the same


def test_tokens_that_name_sounds_are_the_words_of_the_judge():
    tokenizer = avnb.load("toy-omni").tokenizer
    answer = tokenizer("I see a guitar. I hear a dog barking and a bell tolling.")["input_ids"]
    table = tokens.label(tokenizer, answer, DOG, "words")
    named = table[table["is_audio"]]
    found = named.groupby("right")["event"].agg(set).to_dict()
    assert found == {True: {"dogs", "barking"}, False: {"bell", "tolling"}}
    assert "guitar" not in "".join(named["token"])
    assert not tokens.label(tokenizer, answer, DOG)["is_audio"].any()  # no events are listed


def test_the_distractor_is_the_caption_of_the_sound_that_the_picture_came_with(clips, tmp_path):
    clip = next(clip for clip in clips if clip.kind == "counterfactual")
    found = references(clip, HEAR)
    assert found == {"right": clip.audio_captions[0], "distractor": clip.replaced_captions[0]}
    assert references(clip, SEE) == {"right": clip.video_captions[0]}
    model = avnb.load("toy-omni")
    options = {"spans": [(0, 8)], "blocked": ["video"], "n_draws": 0}
    table = knockout.scores(model, [clip], **options).set_index(["blocked", "quantity"])["value"]
    for caption in ("right", "distractor"):
        prompt = model.prompt(clip, HEAR)
        expected = avnb.run(model, prompt, forced=found[caption])[0].logprobs.sum()
        assert table["nothing", caption] == pytest.approx(expected, abs=1e-4)
    assert table["nothing", "margin"] == pytest.approx(table["nothing", "right"] - table["nothing", "distractor"])


def test_curation_and_manifests_keep_what_was_replaced(toybox_clips, tmp_path):
    a, b = toybox_clips[:2]
    (made,) = curate.counterfactual([a, b], tmp_path, donors=pd.DataFrame({"clip": [a.id], "donor": [b.id]}))
    assert made.replaced_captions == a.audio_captions and made.audio_captions == b.audio_captions
    (read,) = avnb.datasets.load(avnb.datasets.save([made], tmp_path / "set.jsonl"))
    assert read.replaced_captions == a.audio_captions


def test_a_smaller_set_is_taken_whole_where_that_is_asked_for(tmp_path):
    path = plain.manifest(tmp_path / "captions-only.jsonl", 4)
    assert len(avnb.datasets.load(path, n=24, fewer=True)) == 4
    with pytest.raises(avnb.datasets.DatasetError, match="n=24"):
        avnb.datasets.load(path, n=24)


def test_tables_of_clips_are_planned_by_the_judge(clips, tmp_path):
    table = study.measure("lens", "toy-omni", clips, dataset="plain", judge="words", out=tmp_path)
    assert table["value"].notna().all() and (table["reason"] == "").all()


def test_memory_is_that_of_the_shapes():
    config = Qwen2Config(
        hidden_size=64, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=3, intermediate_size=96,
        vocab_size=10,
    )  # fmt: skip
    some, more = (needs.needs(config, n, 0, element_size=4) for n in (1000, 1001))
    keys_and_values = 3 * 2 * 2 * 16 * 4
    grown = keys_and_values + (6 * 64 + 3 * 96) * 4 + 4 * (1001**2 - 1000**2) + 16 * 4
    assert more.prompt - some.prompt == grown and more.condition - some.condition == 16 * 4
    wide = needs.needs(config, 1000, 0, n_rows=65, element_size=4)
    assert wide.condition - some.condition == keys_and_values + (6 * 64 + 3 * 96) * 4


def test_a_run_on_a_large_model_is_told_beforehand(clips):
    model = avnb.load("toy-omni")
    assert needs.told(model, clips) == ""  # an organism takes nothing
    told = needs.told(model, clips, n_prompts=2, n_conditions=57, smallest=0)
    assert "each of the 56 conditions" in told and "57 go at once" in told and "4 clips with 2 prompts each" in told
    lost = Clip("lost", "lost.mp4")
    assert "No clip can be read" in needs.told(model, [lost], smallest=0)
    assert f"({len(model.prompt(clips[0], HEAR)):,} positions)" in needs.told(model, [lost, *clips], smallest=0)


@pytest.mark.chapter
def test_chapters_go_to_the_end_on_captions_of_the_sound_alone(tmp_path):
    path = plain.manifest(tmp_path / "captions-only.jsonl", 4, video_captions=(), replaced_captions=())
    chapters = ["02_caption_fidelity", "04_logit_lens", "05_attention_knockout"]
    given = {"dataset": str(path), "n_draws": 1}
    outcomes = batch.execute(batch.plan(["toy-omni"], chapters, tmp_path / "runs", given))
    assert [outcome.error for outcome in outcomes] == [""] * 3
    for outcome in outcomes:
        text = str(nbformat.read(outcome.job.target, as_version=4))
        assert "the picture of 4 of 4 clips: it has no video caption" in text
    assert "not known which sound" in text
