"""One palette and one look for every figure of the book.

>>> PALETTE["audio"], PALETTE["video"]
('#D55E00', '#0072B2')
"""

import matplotlib.pyplot as plt
import seaborn as sns

# Orange is what is heard, blue what is seen, on every page (Okabe and Ito's). No third hue stays apart from these two
# for every eye, so all else differs in lightness: black, and greys. `show.figure` lets black follow the page.
PALETTE = {"audio": "#D55E00", "video": "#0072B2", "text": "#777777", "control": "#BBBBBB", "other": "#000000"}
SHADE = ("#808080", 0.12)  # of a background, in light and in dark
KINDS = {"factual": "ordinary clips", "counterfactual": "conflicting clips"}  # what readers call them


def style():
    """The look of all figures; call it once, before the first one."""
    sns.set_theme(style="ticks", context="notebook", font_scale=0.9)
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
    plt.rcParams.update(dict.fromkeys(inked, "black"))
