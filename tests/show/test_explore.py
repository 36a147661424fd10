"""Pieces hold what was measured, refuse tables with gaps, and stay harmless whatever a caption says."""

import json
import re
from itertools import combinations, product

import pandas as pd
import pytest

import avnb
from avnb.organisms import dose
from avnb.show import explore


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toybox")
    return {clip.seen[0]: clip for clip in avnb.datasets.load("toybox", n=4, seed=3, root=folder) if clip.seen}


def data_of(piece):
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', piece.data, re.DOTALL)[1])


def grid(events, models=("a",)):
    rows = [(m, p, s, f"I hear {p}.", (p,)) for m in models for p in events for s in events]
    return pd.DataFrame(rows, columns=["model", "picture", "sound", "answer", "named"])


@pytest.mark.parametrize(
    ("named", "expected"),
    [(["dog"], "seen"), (["bell"], "heard"), (["dog", "bell"], "both"), (["cow"], "neither"), ([], "neither")],
)
def test_an_answer_goes_by_what_it_names(named, expected):
    assert explore.kind(named, ["dog"], ["bell"]) == expected


def test_every_pair_of_picture_and_sound_has_its_answer(clips):
    data = data_of(explore.swap_the_sound(clips, grid(clips, ["a", "b"])))
    assert list(data["answers"]) == ["a", "b"] and list(data["clips"]) == list(clips)
    for i, row in enumerate(data["answers"]["a"]):
        assert [cell["kind"] for cell in row] == ["both" if i == j else "seen" for j in range(len(clips))]


def test_a_missing_pair_is_named(clips):
    first, second, *_ = clips
    with pytest.raises(explore.PieceError, match=f"a to the picture of {first} with the sound of {second}"):
        explore.swap_the_sound(clips, grid(clips).drop(index=1))


def test_a_caption_cannot_end_the_script(clips):
    evil = grid(clips).assign(answer="</script><script>alert(1)</script>")
    piece = explore.swap_the_sound(clips, evil)
    assert piece.data.count("<script") == 2
    assert data_of(piece)["answers"]["a"][0][0]["text"] == "</script><script>alert(1)</script>"


def cuts(clip, edges=(0, 2, 5)):
    """Answers and scores of one clip under a cut of the picture, in every span between the edges."""
    keys = [("nothing", 0, 0), *(("video", a, b) for a, b in combinations(edges, 2))]
    rows = [(clip.id, *key) for key in keys]
    answers = pd.DataFrame(rows, columns=["clip", "blocked", "start", "stop"])
    scores = [answers.assign(quantity=name, value=value) for name, value in (("right", -3.0), ("distractor", -1.0))]
    return answers.assign(answer="I hear nothing.", named=[()] * len(rows)), pd.concat(scores)


def test_spans_of_any_grid_of_layers_are_there(clips):
    clip = next(iter(clips.values()))
    data = data_of(explore.look_away([clip], *cuts(clip)))
    assert data["edges"] == [0, 2, 5] and data["conditions"] == 4
    assert set(data["clips"][0]["cuts"]["video"]) == {"0-2", "0-5", "2-5"}
    assert data["clips"][0]["free"]["right"] == -3.0


def test_the_still_has_a_row_for_where_a_span_begins_and_a_column_for_where_it_ends(clips):
    clip = next(iter(clips.values()))
    answers, scores = cuts(clip)
    late = (answers["start"] == 0) & (answers["stop"] == 2)
    answers["named"] = [tuple(clip.seen) if one else () for one in late]
    with pytest.MonkeyPatch.context() as patch:
        drawn = []
        patch.setattr(explore.stills, "grids", lambda panels: drawn.append(panels) or "")
        explore.look_away([clip], answers, scores)
    ((rows, columns, kinds),) = drawn[0].values()
    assert rows == [0, 2] and columns == [1, 4]
    assert kinds == [[explore.kind(tuple(clip.seen), clip.seen, clip.heard), "neither"], ["", "neither"]]


def test_a_missing_span_is_named(clips):
    clip = next(iter(clips.values()))
    answers, scores = cuts(clip)
    with pytest.raises(explore.PieceError, match="video blocked: no answer for layers 0 to 4"):
        explore.look_away([clip], answers.query("not (start == 0 and stop == 5)"), scores)


def test_organisms_are_their_means():
    table = dose.results()
    data = data_of(explore.raise_one(table))
    assert len(data["runs"]) == len(table[["order", "dose", "seed"]].drop_duplicates())
    run = data["runs"][0]
    same = table.query("order == @run['order'] and dose == @run['dose'] and seed == @run['seed']")
    mean = same.query("quantity == 'audio fidelity, counterfactual'")["value"].mean()
    assert run["hears"] == pytest.approx(mean, abs=1e-3)


def test_missing_numbers_are_refused():
    with pytest.raises(explore.PieceError, match=r"two: 2 values, 1 of them missing"):
        explore.how_many_clips({"one": [0.5, 1.0], "two": [0.5, float("nan")]})
    with pytest.raises(explore.PieceError, match="video fidelity, factual"):
        explore.raise_one(dose.results().query("quantity != 'video fidelity, factual'"))


def test_there_is_a_table_for_those_without_scripts(clips):
    clip = next(iter(clips.values()))
    piece = explore.close_its_eyes(clip, ["I hear a bell.", "I hear a dog."], [("bell",), ("dog",)])
    assert "I hear a dog." in re.search(r'class="avnb-still">.*?</table>', piece.data, re.DOTALL)[0]


def test_both_readings_of_a_sound_are_there_in_the_order_of_layer_moment_and_rank(clips):
    clip = next(iter(clips.values()))
    keys = list(product(("closed", "open"), (1, 0), (7, 8), (2, 1)))
    table = pd.DataFrame(keys, columns=["eyes", "layer", "position", "rank"])
    tokens = [f"{layer}{at}{rank}" for _, layer, at, rank in keys]
    table = table.assign(clip=clip.id, token=tokens, probability=0.5, named=[()] * len(keys))
    read = data_of(explore.read_its_mind([clip], table))["clips"][0]["open"]
    assert read["size"] == [2, 2, 2]
    assert [word for word, *_ in read["words"]] == ["071", "072", "081", "082", "171", "172", "181", "182"]
    with pytest.raises(explore.PieceError, match="not read with eyes closed"):
        explore.read_its_mind([clip], table[table["eyes"] == "open"])


def test_of_a_deep_model_and_a_long_sound_a_page_holds_some_layers_and_moments_with_the_last(clips):
    clip, other = list(clips.values())[:2]
    keys = list(product((clip.id,), ("closed", "open"), range(36), range(250), (1,)))
    keys += list(product((other.id,), ("closed", "open"), range(36), range(40), (1,)))
    table = pd.DataFrame(keys, columns=["clip", "eyes", "layer", "position", "rank"])
    table = table.assign(token=table["position"].astype(str), probability=0.5, named=[()] * len(keys))
    table.loc[table["eyes"] == "open", "position"] += 100  # behind the picture
    data = data_of(explore.read_its_mind([clip, other], table))
    assert data["layers"][-1] == 35 and len(data["layers"]) == 18
    assert [one[eyes]["size"] for one in data["clips"] for eyes in ("open", "closed")] == [[18, 40, 1]] * 4
    assert data["clips"][0]["open"]["words"][-1][0] == "249"
