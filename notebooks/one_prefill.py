# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How one prefill serves every intervention
#
# **A sweep over layers costs a little more than one answer, not one answer per layer, and its results are exact.**

# %% tags=["parameters", "hide-input"]
model = "toy-omni"
dataset = "toybox"
seed = 0

# %% tags=["hide-input"]
import avnb
import pandas as pd
from avnb import datasets, fidelity, plots, show, speed
from IPython.display import Markdown

plots.style()
avllm = avnb.load(model)
question = "Describe what you hear."
clip, answer = fidelity.example(
    avllm, datasets.load(dataset, n=24, seed=seed), question
)
sweeps = speed.cells().query("new == 16 and conditions == conditions.max()")
times = sweeps.pivot(index="prompt", columns="method", values="ratio").dropna(
    subset=["ours", "hooks"]
)
most, longest = sweeps["conditions"].max(), times.index.max()
show.in_short(
    f"{most} interventions on a prompt of {longest:,} tokens take {times.ours[longest]:.1f} times as long as one plain answer; "
    f"one answer for each takes {times.hooks[longest]:.0f} times as long.",
    {
        f"{most} interventions, {size:,} prompt tokens (one plain answer = 1)": f"{row.ours:.2f}, usual way {row.hooks:.0f}"
        for size, row in times.iterrows()
    },
    "exact: the same tokens as with one run per intervention"
    if speed.measured()["agree"]
    else "the methods did not give the same tokens",
    clip=show.player(
        clip,
        width=240,
        caption=show.said(clip, avllm.name, answer),
    ),
)

# %% [markdown]
# Attention knockout asks what a model would have said had its answer not been able to look at the picture, or at the
# sound, in some of its layers. A sweep asks that many times: 28 layers and two modalities are 56 questions per clip. The
# usual way generates a full answer for each. But all these answers share the long part, the prompt of pictures and sound,
# and differ only in the few words after it.

# %% [markdown]
# ## One clip, every window
#
# The sound of the clip above is that of another clip: it is the first conflicting one of the set about whose sound the
# answer names something that is only to be seen. Every condition blocks the answer, and the position it starts from, from
# the video in a window of four layers; the last one in all layers.

# %%
prompt = avllm.prompt(clip, question)
n_layers = len(avllm.decoder.layers)
blocks = [range(start, start + 4) for start in range(n_layers - 3)] + [range(n_layers)]
conditions = [
    avnb.Condition.block("last+generated", "video", layers=layers) for layers in blocks
]
runs = avnb.run(avllm, prompt, [avnb.Condition(), *conditions], max_new_tokens=24)
show.table(
    pd.DataFrame(
        {
            "picture blocked in": [
                "no layer",
                *(f"layers {layers[0]} to {layers[-1]}" for layers in blocks),
            ],
            "answer": [r.text for r in runs],
        }
    ),
    "One prefill, one batch: what the model says under each condition",
)

# %% [markdown]
# One clip shows what the engine does, not what the model is like: that takes many clips, and the control of blocking as
# many keys drawn at random (`avnb.Random("video")`).

# %% [markdown]
# ## How it works
#
# ```{image} ../book/assets/engine.svg
# :alt: The prompt's keys and values are stored once; every condition adds only the keys and values of its own answer.
# :width: 100%
# :class: follows-mode
# ```
#
# 1. The prompt runs through the decoder once (the *prefill*), with the attention that the model was loaded with. The keys
#    $K$ and values $V$ of every layer are kept; no attention matrix is.
# 2. From the **branch point** on, the $N$ conditions run as one batch. The branch point is the first position that any
#    rule touches: the end of the prompt where only the answer is blocked, earlier where positions of the prompt are.
# 3. A condition is a mask $m_c^{(\ell)}$ per layer: $-\infty$ at the keys that it blocks, 0 elsewhere.
#
# ## Why it is exact
#
# Let a row of branch $c$ have the query $q$, and let $K_c, V_c$ be the keys and values of its own answer so far. What the
# full model would compute is
#
# $$
# \mathrm{softmax}\!\left(\frac{\left[\,q K^\top \;\; q K_c^\top\right]}{\sqrt{d}} + m_c^{(\ell)}\right)
# \begin{bmatrix} V \\ V_c \end{bmatrix}.
# $$
#
# The engine computes the same thing: $qK^\top$ for all branches as one matrix product per key-value head, $qK_c^\top$ per
# branch, one softmax over both. Nothing is approximated, because nothing before the branch point depends on the
# condition: in a causal decoder a position sees only earlier ones, and no rule touches those. A branch that starts to
# differ in layer $\ell$ also shares all layers below $\ell$, for the same reason.
#
# Rules that touch prompt positions (from audio to video, from video to the question) move the branch point up, and the
# positions behind it are computed once per branch. The result is as exact, and the saving is smaller: that case is not
# part of the table below.
#
# The tests hold the engine against an independent implementation, hooks and a full eager `generate` per condition: the
# same tokens, and log-probabilities within 0.0001, for random architectures of several families, rules and batch splits.
#
# ## What it costs
#
# `make bench` times the engine beside the two usual ways, hooks with one `generate` per condition and nnsight, and beside
# the floor: one plain `generate` of the same model in the same process. Only ratios count. All methods must give the same
# tokens.

# %% tags=["hide-input"]
show.table(speed.costs(), "Time of a sweep, in units of one plain generate")

# %% tags=["hide-input"]
names = {name: speed.METHODS[name] for name in ("ours", "hooks", "nnsight")}
shown = speed.cells().query("new == 16")
show.figure(
    plots.speed.growth(shown, names),
    "Time of a sweep with N conditions, in units of one plain generate; both axes are logarithmic, a panel for each length of "
    "the prompt; n = 1 machine, named below.",
    data=shown,
)

# %% tags=["hide-input"]
show.table(
    speed.memory(),
    "Peak memory above the loaded model (MiB): every layer's and head's attention shares recorded, by avnb and by transformers' "
    "own option to return them all",
)

# %% tags=["hide-input"]
own = (
    speed.cells()
    .query("method == 'ours' and new == 16")
    .set_index(["prompt", "conditions"])["ratio"]
    .sort_index()
)
growth = [
    f"**{own[prompt, n] / own[prompt, 1]:.2f}** for N = {n} at {prompt} tokens"
    for prompt, n in own.index
    if n > 8
]
Markdown(
    "One plain generate of this architecture also computes the logits of every prompt position, which the engine does "
    "not need; so the engine can be faster than one. In units of its own single answer, a sweep costs "
    f"{', '.join(growth)}. What bounds it is the prefill, and then the products of N rows with the weights of the decoder "
    "and of the vocabulary, so short prompts fare relatively worst.\n\n"
    f"Measured on {speed.about()}. A star marks times that were measured on one condition and multiplied. For the "
    "conditions that all methods ran, they gave the same tokens: "
    f"**{'yes' if speed.measured()['agree'] else 'no'}**. {' '.join(speed.not_run())}"
)

# %% tags=["hide-input"]
on_gpu = speed.on_gpu()
if len(on_gpu):
    show.table(on_gpu, "Models of true size on a GPU; one plain generate = 1")
Markdown(speed.about_gpu())

# %% [markdown]
# ## What this shows
#
# - Every condition of a sweep can share one prefill, because no position before the branch point depends on a condition.
#   The cost of a sweep is then the cost of the answers, not of the prompts.
#
# ## What this does not show
#
# - The model of the bench has random weights and a narrow decoder of 28 layers with the real vocabulary; it ran on CPU in
#   float32. On a GPU the ratios differ; what is known of them is said above.
# - Two floating-point orders of the same sum differ in the last digits. Where two words are equally probable to seven
#   digits, another word may win.
#
# ## Try it yourself
#
# **Task.** Block the question from the picture instead of the answer. Predict: will the answer change? The cell has run
# once here; to try other groups (the segment types of the prompt, `generated`, and sums of them), open this page on Colab
# or on your machine.

# %%
rule = avnb.Condition.block("query", "video")
avnb.run(avllm, prompt, [rule], max_new_tokens=24)[0].text

# %% [markdown]
# <details><summary>What to expect</summary>
#
# Mostly not: the answer still sees the picture by itself. The question has to be kept from the picture *and* the answer
# from it before its way is cut; {doc}`05_attention_knockout` follows the ways one by one.
#
# </details>

# %% tags=["remove-input"]
show.provenance(model=model, dataset=dataset, seed=seed)
