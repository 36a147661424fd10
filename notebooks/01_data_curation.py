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
# # From captions to factual and counterfactual sets
#
# This chapter is being written.

# %% tags=["parameters"]
model = "toy-omni"
dataset = "toybox"
n = 2
seed = 0
out = "runs"

# %%
from avnb import show
