"""The figures of pieces where nothing moves, on paper and for those without scripts: SVG that needs no library.

>>> plane([{"order": "audio first", "dose": 0.1, "sees": 0.2, "hears": 0.9}]).count('class="avnb-dot"')
1
"""

import html
from itertools import groupby

from avnb import stats

SEEN, HEARD, OTHER = "var(--seen,#0072b2)", "var(--heard,#b84f00)", "currentColor"
# Of what is learnt first: a shape and a colour each, so that neither has to be told apart alone.
MARKS = (
    {"path": "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0", "colour": SEEN},
    {"path": "M-.9-.9h1.8v1.8h-1.8z", "colour": HEARD},
    {"path": "M0-1.2 1.1.8H-1.1z", "colour": OTHER},
    {"path": "M0-1.3 1.1 0 0 1.3-1.1 0z", "colour": OTHER},
)
_FILLS = {"heard": (HEARD,), "seen": (SEEN,), "both": (SEEN, HEARD)}  # a cell that names both has two halves
_KEY = {"heard": "what is heard", "seen": "what is seen", "both": "both", "neither": "neither"}
_FEW = (8, 20, 50)  # clips


def marks(orders):
    """The mark of every order of training: {order: {"path": around the origin, "colour": of CSS}}."""
    return {order: MARKS[i % len(MARKS)] for i, order in enumerate(dict.fromkeys(orders))}


def plane(runs, paper=""):
    """Organisms between seeing and hearing, as SVG: a mark for each, larger the more conflict it met.

    Args:
        runs: [{"order", "dose", "sees", "hears"}], fidelities in 0..1.
        paper: colour of the background, where the picture has a page of its own; without it, that of the page.
    """
    left, bottom, side, looks = 60, 340, 330, marks(run["order"] for run in runs)
    top_dose = max(run["dose"] for run in runs) or 1
    lines = []
    for value in (0, 0.25, 0.5, 0.75, 1):
        x, y = left + value * side, bottom - value * side
        lines += [
            f'<path d="M{x} {bottom}V{bottom - side}M{left} {y}H{left + side}" stroke="currentColor" opacity=".15"/>',
            _text(x, bottom + 16, f"{value:g}"),
            _text(left - 6, y + 4, f"{value:g}", "end"),
        ]
    for run in runs:
        x, y, size = left + run["sees"] * side, bottom - run["hears"] * side, 3 + 4 * run["dose"] / top_dose
        look = looks[run["order"]]
        lines.append(
            f'<path class="avnb-dot" d="{look["path"]}" transform="translate({x:.1f} {y:.1f}) scale({size:.1f})" '
            f'fill="{look["colour"]}" opacity=".7"/>'
        )
    for i, (order, look) in enumerate(looks.items()):
        y = 120 + 24 * i
        lines += [
            f'<path d="{look["path"]}" transform="translate(412 {y - 4}) scale(5)" fill="{look["colour"]}"/>',
            _text(424, y, order, "start"),
        ]
    lines += [
        _text(424, 120 + 24 * len(looks), "larger: more conflict", "start"),
        _text(left + side / 2, 384, "says what it sees (fidelity)"),
        _text(0, 0, "says what it hears (fidelity)", turned=f"translate(14 {bottom - side / 2}) rotate(-90)"),
    ]
    return _drawn(570, 392, lines, "Organisms between seeing and hearing, one mark each", paper)


def grids(panels):
    """What answers or words go by, as SVG: one field of cells for each panel, blue and orange by what is named.

    Args:
        panels: title -> (names of rows, names of columns, rows of "heard", "seen", "both", "neither" or "" (no cell)).
            Too many names are left out but for the first and the last.
    """
    lines, x0, height = [], 0, 0
    for title, (rows, columns, kinds) in panels.items():
        wide, high = max(4, min(22, 220 / len(columns))), max(6, min(22, 220 / len(rows)))
        left, top = x0 + 12 + 6.5 * max(len(str(name)) for name in rows), 30
        lines.append(_text(left, 18, title, "start"))
        for i, line in enumerate(kinds):
            y, at = top + i * high, 0
            if _is_told(i, rows):
                lines.append(_text(left - 6, y + high / 2 + 4, rows[i], "end"))
            for kind, run in groupby(line):
                n = len(list(run))
                if kind:
                    lines += _cell(left + at * wide, y, n * wide, high, kind)
                at += n
        bottom = top + len(rows) * high
        longest = max(len(str(name)) for name in columns)
        for j, name in enumerate(columns):
            if _is_told(j, columns):
                place = f"translate({left + (j + 0.5) * wide + 4:.1f} {bottom + 8:.1f}) rotate(-90)"
                lines.append(_text(0, 0, name, "end", turned=place))
        x0 = left + max(len(columns) * wide, 7 * len(title)) + 16
        height = max(height, bottom + 14 + 7 * longest)
    at = 12
    for kind, text in _KEY.items():
        lines += [*_cell(at, height, 14, 14, kind), _text(at + 20, height + 12, text, "start")]
        at += 34 + 7 * len(text)
    x0, height = max(x0, at), height + 24
    told = "; ".join(f"{title}: {_shares(kinds)}" for title, (*_, kinds) in panels.items())
    return _drawn(round(x0), round(height), lines, told)


def jumps(values):
    """How far the mean of the first few clips lies from that of all, as SVG: a dot and its interval for each number.

    Args:
        values: name -> values in 0..1, one per clip.
    """
    lines, y = [], 30
    for name, some in values.items():
        lines.append(_text(8, y, name, "start"))
        for n in dict.fromkeys(min(few, len(some)) for few in (*_FEW, len(some))):
            y += 20
            mean, low, high, _ = stats.interval(list(some)[:n])
            if low == low:  # of a single clip there is none
                lines.append(f'<path d="M{130 + 300 * low:.1f} {y - 4}H{130 + 300 * high:.1f}" stroke="currentColor"/>')
            lines += [
                f'<circle cx="{130 + 300 * mean:.1f}" cy="{y - 4}" r="4" fill="currentColor"/>',
                _text(120, y, f"the first {n}" if n < len(some) else f"all {n}", "end"),
            ]
        y += 30
    lines += [_text(130 + 300 * value, y, f"{value:g}") for value in (0, 0.5, 1)]
    return _drawn(450, y + 12, lines, "Means of the first few clips and of all, with 95 % intervals")


def _cell(x, y, width, height, kind):
    fills = _FILLS.get(kind, ("none",))
    part = height / len(fills)
    return [
        f'<rect x="{x:.1f}" y="{y + i * part:.1f}" width="{width:.1f}" height="{part:.1f}" fill="{fill}" '
        'stroke="currentColor" stroke-opacity=".25" stroke-width=".5"/>'
        for i, fill in enumerate(fills)
    ]


def _is_told(i, names):
    return len(names) <= 12 or i in (0, len(names) - 1)


def _shares(kinds):
    cells = [kind for line in kinds for kind in line if kind]
    return ", ".join(f"{kind} {cells.count(kind)} of {len(cells)}" for kind in dict.fromkeys(cells))


def _text(x, y, text, anchor="middle", turned=""):
    turned = f' transform="{turned}"' if turned else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{turned}>{html.escape(str(text))}</text>'


def _drawn(width, height, lines, label, paper=""):
    ground = f'<rect width="{width}" height="{height}" fill="{paper}"/>' if paper else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{html.escape(label, quote=True)}" style="max-width:{width}px" font-family="Arial, sans-serif" '
        f'font-size="13" fill="currentColor">{ground}{"".join(lines)}</svg>'
    )
