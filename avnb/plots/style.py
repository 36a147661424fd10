"""One palette and one look for every figure of the book.

>>> PALETTE["audio"], PALETTE["video"]
('#D55E00', '#0072B2')
"""

import matplotlib.pyplot as plt
import seaborn as sns

# Okabe and Ito's colours, told apart by colour-blind readers too; the same meaning on every page.
PALETTE = {"audio": "#D55E00", "video": "#0072B2", "text": "#777777", "control": "#BBBBBB", "other": "#009E73"}


def style():
    """The look of all figures; call it once, before the first one."""
    sns.set_theme(style="ticks", context="notebook", font_scale=0.9)
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 110})
