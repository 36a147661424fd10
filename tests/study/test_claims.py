"""The table that sums up: planted effects are called what they are, and what was not measured has no row."""

import numpy as np
import pandas as pd
import pytest

from avnb import datasets, paper, stats
from avnb.analyses import patches
from avnb.questions import HEAR
from avnb.study import claims

CLIPS = [str(i) for i in range(12)]


def answers(both, alone, own=0.9, seed=0):
    """A table of fidelity of the sound: conflicting clips with and without the picture, and ordinary ones."""
    rng = np.random.default_rng(seed)
    rows = [("counterfactual", c, "both", both) for c in CLIPS] + [("counterfactual", c, "audio", alone) for c in CLIPS]
    rows += [("factual", f"own-{c}", inputs, own) for c in CLIPS for inputs in ("both", "audio")]
    table = pd.DataFrame(rows, columns=["kind", "clip", "inputs", "value"])
    table["value"] += rng.uniform(-0.05, 0.05, len(table))
    return table.assign(question=HEAR, modality="audio")


def swept(effect, control, seed=1):
    """A table of a knockout sweep: the baseline, the cut of the picture, and its control."""
    rng = np.random.default_rng(seed)
    cuts = [("nothing", 0, 0.0), ("video", 8, effect), ("control: video", 8, control)]
    rows = [(c, name, 0, stop, 0.2 + by + rng.uniform(-0.05, 0.05)) for c in CLIPS for name, stop, by in cuts]
    table = pd.DataFrame(rows, columns=["clip", "blocked", "start", "stop", "value"])
    return table.assign(kind="counterfactual", question=HEAR, modality="audio")


def verdicts(tables):
    return {one.chapter: one.verdict for one in claims.claims(tables)}


def test_a_model_that_hears_and_does_not_say_is_told_so():
    found = claims.claims({"fidelity": answers(both=0.2, alone=0.8)})
    assert [one.verdict for one in found] == [claims.YES, claims.ADDED]
    assert found[0].here.mean == pytest.approx(-0.7, abs=0.05) and found[1].here.mean == pytest.approx(0.6, abs=0.05)
    assert found[0].paper == f"{paper.quantities()['audio fidelity, counterfactual - factual'].value:+.2f}"


def test_a_model_that_says_what_it_hears_is_told_apart():
    found = claims.claims({"fidelity": answers(both=1.0, alone=0.7)})
    assert [one.verdict for one in found] == [claims.NO, claims.NO]


@pytest.mark.parametrize(
    ("effect", "control", "verdict"), [(0.6, 0.0, claims.YES), (0.6, 0.6, claims.UNCLEAR), (-0.2, 0.0, claims.NO)]
)
def test_a_cut_counts_only_beyond_its_control(effect, control, verdict):
    assert verdicts({"knockout": swept(effect, control)}) == {5: verdict}


def test_known_inside_means_beyond_what_other_clips_would_get():
    lens = pd.DataFrame({"clip": CLIPS, "kind": "counterfactual", "value": [0.5, 0.6] * 6, "null": [0.1, 0.2] * 6})
    assert verdicts({"lens": lens}) == {4: claims.YES}
    assert verdicts({"lens": lens.assign(null=lens["value"] + [0.1, -0.1] * 6)}) == {4: claims.UNCLEAR}


def test_the_treated_model_is_compared_clip_by_clip():
    tables = {"fidelity": answers(0.2, 0.8), "treated": answers(0.7, 0.8, seed=2)}
    (claim,) = [one for one in claims.claims(tables) if one.chapter == 8]
    assert claim.verdict == claims.ADDED and claim.here.mean == pytest.approx(0.5, abs=0.05) and claim.here.n == 12


def test_what_was_not_measured_has_no_row_and_texts_carry_intervals():
    table = claims.compare({"knockout": swept(0.6, 0.1)})
    assert len(table) == 1 and "n = 12</data>, fidelity" in table["here"][0] and table["control"][0].startswith("+0.1")


def test_clips_that_show_one_source_count_together():
    ids = [f"test-5-{i:05d}-matching" for i in range(24)]
    shown = datasets.sources(ids)
    rng = np.random.default_rng(0)
    of_source = {name: rng.uniform(-0.4, 0.4) for name in shown.unique()}
    rows = [(c, name, 0, stop, 0.5 + by * of_source[shown[c]]) for c in ids for name, stop, by in
            [("nothing", 0, 0), ("video", 8, 1), ("control: video", 8, 0)]]  # fmt: skip
    table = pd.DataFrame(rows, columns=["clip", "blocked", "start", "stop", "value"])
    table = table.assign(kind="counterfactual", question=HEAR, modality="audio")
    (claim,) = claims.claims({"knockout": table})
    values = shown.map(of_source).to_numpy()
    assert claim.here == stats.interval(values, signed=True, clusters=shown) != stats.interval(values, signed=True)


def test_claims_say_of_which_model_they_are():
    found = claims.claims({"knockout": swept(0.6, 0.1).assign(model="toy-omni")})
    assert [one.quantity for one in found] == [f"toy-omni: {claims.RECOVERY}"]


def test_two_cuts_are_set_beside_each_other():
    found = claims.cuts({"knockout": swept(0.6, 0.0), "inside": swept(0.1, 0.0, seed=2)})
    assert found["answer"].mean == pytest.approx(0.6, abs=0.05) and found["sound"].mean == pytest.approx(0.1, abs=0.05)
    assert found["answer - sound"].low > 0.4


def probed(heard, lens, seed=3):
    """A table of ranks in which the probe and the lens name so much of what is heard, in the last of four layers."""
    rng, rows = np.random.default_rng(seed), []
    shares = {"lens": lens, "heard": heard, "seen": 0.1, "shuffled": 0.1}
    for clip, (readout, share), layer in ((c, one, i) for c in CLIPS * 3 for one in shares.items() for i in range(4)):
        first = rng.random() < (share if layer == 3 else 0.5)
        rows += [(clip, readout, layer, "dog", 1 if first else 9, True), (clip, readout, layer, "cat", 9, False)]
    table = pd.DataFrame(rows, columns=["clip", "readout", "layer", "event", "rank", "heard"])
    table["clip"] += "-" + (table.groupby(["clip", "readout", "layer", "event"]).cumcount()).astype(str)
    return table.assign(kind="counterfactual", seen=~table["heard"], null=(~table["heard"]).astype(float))


def lent(sound, picture):
    """A table of patches: the share of clips in which what was lent is named."""
    named = [("nothing", 0, "what is heard", 0.1), (patches.ALONE, 7, "what is heard", 0.1)]
    lends = {patches.OTHER: sound, patches.PICTURE: picture, patches.FREE: 1.0}
    named += [(name, 7, patches.LENT, share) for name, share in lends.items()]
    rows = [(c, name, 0, stop, q, float(i < 12 * share)) for name, stop, q, share in named for i, c in enumerate(CLIPS)]
    return pd.DataFrame(rows, columns=["clip", "instead", "start", "stop", "quantity", "value"])


@pytest.mark.parametrize(("heard", "verdict"), [(0.9, claims.ADDED), (0.1, claims.UNCLEAR)])
def test_a_probe_counts_beyond_shuffled_labels(heard, verdict):
    assert verdicts({"probe": probed(heard, lens=0.1)}) == {4: verdict}


@pytest.mark.parametrize(
    ("sound", "picture", "verdict"), [(0.0, 0.9, claims.ADDED), (0.9, 0.0, claims.NO), (0.5, 0.5, claims.UNCLEAR)]
)
def test_a_picture_that_is_put_in_counts_beyond_a_sound_that_is(sound, picture, verdict):
    assert verdicts({"patching": lent(sound, picture)}) == {4: verdict}


def test_what_decides_is_told_with_the_probe_and_without():
    tables = {"patching": lent(0.0, 0.9)}
    assert claims.decided(tables)[0] is None and claims.decided(tables)[1].claim == "picture"
    probe, _ = claims.decided(tables | {"probe": probed(0.9, lens=0.1)})
    assert probe.probe.stands and probe.apart.low > 0
    alone = tables["patching"][tables["patching"]["instead"] == "nothing"]
    assert claims.decided({"patching": alone})[1] is None and not claims.claims({"patching": alone})


@pytest.mark.parametrize(
    ("audio", "shuffled", "verdict"),
    [(0.05, 0.2, claims.YES), (0.35, 0.2, claims.NO), (0.05, 0.05, claims.UNCLEAR), (0.2, 0.2, claims.UNCLEAR)],
)
def test_where_answers_look_counts_beyond_shuffled_labels(audio, shuffled, verdict):
    def shares(of_audio, seed):
        noise = np.random.default_rng(seed).uniform(-0.01, 0.01, len(CLIPS))
        return pd.DataFrame(
            [
                (clip, 0, group, value, 0.2)
                for clip, more in zip(CLIPS, noise, strict=True)
                for group, value in (("audio", of_audio + more), ("video", 0.4 - of_audio - more))
            ],
            columns=["clip", "layer", "group", "value", "null"],
        )

    assert verdicts({"attention": shares(audio, 1), "shuffled": shares(shuffled, 2)}) == {3: verdict}


@pytest.mark.parametrize(
    ("with_picture", "without", "verdict"), [(0.9, 0.1, claims.YES), (0.1, 0.9, claims.NO), (0.6, 0.6, claims.UNCLEAR)]
)
def test_a_deaf_base_counts_beyond_one_without_the_picture(with_picture, without, verdict):
    rng = np.random.default_rng(4)
    rows = [
        (f"clip {i}", against, step, 1 if rng.random() < share else 2, step == 0)
        for against, share in (("base model", with_picture), ("base, text only", without))
        for i in range(40)
        for step in range(2)
    ]
    table = pd.DataFrame(rows, columns=["clip", "against", "step", "base_rank", "is_audio"]).assign(
        kind="counterfactual", first=lambda some: some["is_audio"], right=True, hallucinated=False
    )
    assert verdicts({"tokens": table}) == {6: verdict}
