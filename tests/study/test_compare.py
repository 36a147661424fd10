"""Numbers of several models: what is measured here and what is published never mix."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from avnb import paper, plots, study
from avnb.questions import HEAR, SEE
from avnb.study import compare as g
from avnb.study import fingerprints
from avnb.study.tables import write as write_table

N_CLIPS = 24


def fidelity_table(model, factual, counterfactual):
    """Fidelity of six clips of each kind; rows about seeing and from sound alone are there to be left out."""
    rows = []
    for kind, mean in (("factual", factual), ("counterfactual", counterfactual)):
        for i in range(N_CLIPS):
            value = mean + (-1) ** i * 0.1
            one = {"model": model, "clip": f"{kind}-{i}", "kind": kind, "answer": f"{model} {i}"}
            for question, inputs, modality, v in (
                (HEAR, "both", "audio", value),
                (SEE, "both", "video", 1.0),
                (HEAR, "audio", "audio", 1.0),
            ):
                rows.append(one | {"question": question, "inputs": inputs, "modality": modality, "value": v})
    return pd.DataFrame(rows)


def knockout_table(model, before, after, control):
    cuts = [("nothing", 0, 0, before), ("video", 0, 4, 1.0), ("video", 0, 8, after), ("control: video", 0, 8, control)]
    cuts += [("audio", 0, 8, 0.0), ("video", 4, 8, 1.0)]
    rows = [
        (model, f"{kind}-{i}", kind, HEAR, *cut[:3], 0, "audio", cut[3])
        for kind in ("factual", "counterfactual")
        for i in range(N_CLIPS)
        for cut in cuts
    ]
    columns = ["model", "clip", "kind", "question", "blocked", "start", "stop", "draw", "modality", "value"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def tables():
    lens = pd.DataFrame({"model": "a", "clip": range(4), "kind": ["factual", "counterfactual"] * 2})
    swap = [("a", str(i), v, s, m) for i in range(3) for v, s, m in zip("aabb", "abab", (4, -2, 2, -4), strict=True)]
    return {
        "fidelity": pd.concat([fidelity_table("a", 0.8, 0.3), fidelity_table("b", 0.8, 0.6)], ignore_index=True),
        "knockout": knockout_table("a", 0.25, 0.75, 0.25),
        "lens": lens.assign(value=[0.0, 0.5, 0.0, 1.0], null=0.25),
        "swap": pd.DataFrame(swap, columns=["model", "clip", "video", "audio", "value"]),
    }


def mean(numbers, model, quantity):
    (row,) = numbers[(numbers["model"] == model) & (numbers["quantity"] == quantity)].itertuples()
    return row.mean


def test_numbers_are_those_of_the_tables(tables):
    found = g.numbers(tables).query("source == 'measured here'")
    assert mean(found, "a", g.FACTUAL) == pytest.approx(0.8) and mean(found, "a", g.COUNTERFACTUAL) == pytest.approx(
        0.3
    )
    assert mean(found, "a", g.DROP) == pytest.approx(0.5) and mean(found, "b", g.DROP) == pytest.approx(0.2)
    assert mean(found, "a", g.RECOVERY) == pytest.approx(0.5), "the widest cut from the first layer on"
    assert mean(found, "a", g.RECOVERY_CONTROL) == pytest.approx(0)
    assert mean(found, "a", g.RECOVERY_BEYOND) == pytest.approx(0.5)
    assert mean(found, "a", g.RECALL) == pytest.approx(0.75), "of counterfactual clips"
    assert mean(found, "a", g.RECALL_NULL) == pytest.approx(0.25)
    assert mean(found, "a", g.SHORTCUT) == pytest.approx(2 / 8)
    assert found["n"].notna().all()
    known = found.dropna(subset="low")  # of margins that are all equal nobody knows how far others lie
    assert (known["low"] <= known["mean"]).all() and (known["mean"] <= known["high"]).all()


@pytest.mark.parametrize(("after", "control", "n_clear"), [(0.75, 0.25, 1), (0.25, 0.0, 0), (0.5, 0.75, 0)])
def test_a_harmful_control_is_no_recovery(tables, after, control, n_clear):
    """Fidelity is 0.25 before the cut: the sound comes back; only the control does harm; the control is better."""
    found = g.numbers(tables | {"knockout": knockout_table("a", 0.25, after, control)})
    (beyond,) = found[found["quantity"] == g.RECOVERY_BEYOND].itertuples()
    assert beyond.stands == bool(n_clear) and beyond.mean == pytest.approx(after - control)
    fig = plots.generalisation.inside(found)
    assert f"in {n_clear} of 1 models" in fig.get_suptitle()
    plt.close(fig)


def test_published_numbers_are_apart_and_without_intervals(tables):
    found = g.numbers(tables).query("source == 'published'")
    stated = paper.published()["audio_fidelity_x100"]
    assert set(found["model"]) == set(stated) - {"provenance"}
    for model in set(found["model"]):
        assert mean(found, model, g.COUNTERFACTUAL) == stated[model]["counterfactual"] / 100
        assert mean(found, model, g.DROP) == pytest.approx(
            (stated[model]["factual"] - stated[model]["counterfactual"]) / 100
        )
    assert mean(found, paper.MODEL, g.RECOVERY) == pytest.approx(0.369 - 0.231)
    (recovery,) = found.loc[found["quantity"] == g.RECOVERY, "provenance"]
    assert recovery == "digitised; blocked up to layer 30 of 36; window not published", "another cut than ours"
    assert set(found.loc[found["quantity"] == g.FACTUAL, "provenance"]) == {"stated"}
    assert found[["low", "high", "n"]].isna().all(axis=None)


def test_the_overview_holds_every_number_once(tables):
    found = g.overview(g.numbers(tables))
    assert found["model"].tolist()[:3] == ["a", "b", "Qwen2.5-Omni-3B"] and len(found) == 7
    of_b = found.set_index("model").loc["b"]
    assert of_b[g.COUNTERFACTUAL].startswith("0.60 (0.") and of_b[g.COUNTERFACTUAL].endswith(f"n = {N_CLIPS})")
    assert of_b[g.RECALL] == "–" and of_b["source"] == "measured here"
    published = found.set_index("model").loc["MiniCPM-o-2.6"]
    assert published[g.COUNTERFACTUAL] == "0.21 [stated]" and published[g.DROP] == "0.27 [derived]"


def test_models_are_compared_clip_by_clip(tables):
    (row,) = g.against(tables, "a").itertuples()
    assert row.model == "b" and row.mean == pytest.approx(0.3) and row.n == N_CLIPS
    assert row.low == pytest.approx(0.3), "every clip differs by the same: pairing removes what clips have in common"
    other = tables["fidelity"].query("model == 'b'").assign(model="c", clip=lambda t: "x" + t["clip"])
    more = tables | {"fidelity": pd.concat([tables["fidelity"], other])}
    assert g.against(more, "a")["model"].tolist() == ["b"], "another set of clips is not compared"


def test_answers_about_one_clip(tables):
    found = g.answers(tables, "factual-2")
    assert found["answer"].tolist() == ["a 2", "b 2"]
    table = tables["fidelity"]
    table.loc[(table["clip"] == "counterfactual-4") & (table["model"] == "b"), "value"] = 1.0
    assert set(g.answers(tables)["clip"]) == {"counterfactual-4"}


def write(folder, analysis, table, age=0, **parameters):
    """Puts a table where a run would, in the order of the calls or by age in seconds."""
    about = {"analysis": analysis, "model": table["model"].iloc[0], "dataset": "toybox", "seed": 0}
    about |= {"clips": sorted(set(table["clip"])), "parameters": parameters}
    about["fingerprints"] = {"code": fingerprints.code_fingerprint(analysis), "weights": ["w"], "clips": []}
    n = len(list(folder.glob("*")))
    path = folder / f"m--toybox--{analysis}--{n}.parquet"
    write_table(table, path, about | {"asked": n - age})


def test_tables_of_runs_are_found_by_what_they_hold(tables, tmp_path):
    folder = tmp_path / "runs" / "a"
    folder.mkdir(parents=True)
    with pytest.raises(study.StudyError, match="no table of fidelity of .*today's code; run the chapters first"):
        g.collect(tmp_path / "runs")
    of_a = tables["fidelity"].query("model == 'a'")
    write(folder, "fidelity", of_a)
    write(folder, "fidelity", of_a.query("question == @SEE"))
    write(folder, "fidelity", of_a.query("kind == 'counterfactual'").assign(value=0.0))  # a control of chapter 2
    write(folder, "knockout", tables["knockout"], source="last+generated")
    write(folder, "knockout", tables["knockout"].assign(value=0.0), source="generated")
    write(folder, "swap", tables["swap"], question=HEAR)
    write(folder, "swap", tables["swap"].assign(value=1.0), question=SEE)
    with pytest.raises(study.StudyError, match="for dataset='mine', seed=0; run"):
        g.collect(tmp_path / "runs", dataset="mine", seed=0)
    found = g.collect(tmp_path / "runs", ["a"], "toybox", 0)
    assert set(found) == {"fidelity", "knockout", "swap"}
    numbers = g.numbers(found).query("source == 'measured here'")
    assert mean(numbers, "a", g.RECOVERY) == pytest.approx(0.5) and mean(numbers, "a", g.SHORTCUT) == pytest.approx(
        0.25
    )
    assert not (numbers["quantity"] == g.RECALL).any()


def faces(ax):
    """Colours of the marks that are drawn in some axes."""
    lines = [line for line in ax.lines if line.get_marker() in "oDs"]
    return {to_hex(line.get_markerfacecolor()) for line in lines if not np.isnan(line.get_xdata()).all()}


@pytest.mark.parametrize("draw", [plots.generalisation.fidelity, plots.generalisation.inside])
def test_published_marks_are_hollow_and_measured_ones_filled(tables, draw):
    fig = draw(g.numbers(tables))
    here, published = (fig.axes[i * len(fig.axes) // 2] for i in range(2))
    assert "#ffffff" not in faces(here) and faces(published) == {"#ffffff"}
    assert [label.get_text() for label in here.get_yticklabels()][0] == "a"
    assert "Qwen2.5-Omni-3B" in [label.get_text() for label in published.get_yticklabels()]
    plt.close(fig)


def test_figures_do_without_analyses_that_were_not_run(tables):
    fig = plots.generalisation.inside(g.numbers({"fidelity": tables["fidelity"]}))
    assert len(fig.axes) == 2, "the two published quantities alone"
    plt.close(fig)
