"""Telephone, alarm clock, kettle and vacuum cleaner."""

from math import cos, pi, sin

from .shapes import (
    ANY_COLOUR,
    GOLD,
    INK,
    RED,
    RUBBER,
    STEEL,
    WHITE,
    Paint,
    circle,
    dots,
    drawing,
    limb,
    line,
    path,
    puffs,
    rect,
    shade,
    shift,
    stretch,
    turn,
    wheel,
)


@drawing("telephone", [*ANY_COLOUR, Paint((225, 260), (0.1, 0.2), (0.28, 0.36))])
def telephone(look, t):
    """Old telephone with a rotary dial, its handset across the cradle, and a curled cord."""
    (paint,) = look.colours
    dark, pale = shade(paint, -0.3), shade(paint, 0.4)
    ring = [(50 + 11.5 * cos(pi * i / 5), 68 + 11.5 * sin(pi * i / 5)) for i in range(9)]
    dial = [path(dots(ring, 2.4), dark, stroke_width=1.4)]
    handset = [
        path(
            "M4 38Q3 20 24 15Q50 9 76 15Q97 20 96 38Q96 44 91 44H75Q70 44 70 38Q70 30 62 28.5Q50 27 38 28.5Q30 30 30 38"
            "Q30 44 25 44H9Q4 44 4 38Z",
            paint,
        ),
        line("M14 27Q20 21 32 19Q50 16 64 18", pale, 3),
    ]
    return "".join(
        [
            line("M12 44q-10 4 -4 9q10 2 5 -3q-10 2 -5 9q10 3 6 -3q-10 2 -5 9q10 3 6 -3q-8 4 -2 12", dark, 2.4),
            path("M35 50V36H42V42H58V36H65V50Z", dark),
            path("M12 90Q9 88 12 82L31 51Q34 46 40 46H60Q66 46 69 51L88 82Q91 88 88 90Z", paint),
            path("M13 86Q50 82 87 86Q90 92 86 93H14Q10 92 13 86Z", dark),
            circle(50, 68, 16.5, WHITE),
            turn(dial, 40 * look.wave(t, 0.6), 50, 68),
            circle(50, 68, 5.5, pale),
            path("M20 93H32V96H20ZM68 93H80V96H68Z", RUBBER),
            turn(handset, 2.5 * look.wave(t, 3) + 2 * look.pose, 50, 30),
        ]
    )


@drawing("clock", ANY_COLOUR, GOLD)
def clock(look, t):
    """Alarm clock on two feet with two domes and a hammer; its hands move."""
    paint, brass = look.colours
    ticks = "".join(
        f"M{50 + 22 * sin(pi * i / 6):.1f} {58 - 22 * cos(pi * i / 6):.1f}L{50 + 25 * sin(pi * i / 6):.1f} "
        f"{58 - 25 * cos(pi * i / 6):.1f}"
        for i in range(12)
    )
    dome = "M34 20a16 13 0 0 1 32 0Z"
    minutes = 360 * (look.phase + 0.04 * t)
    return "".join(
        [
            limb("M28 84L19 93M72 84L81 93", brass, 4.5),
            line("M50 24V14", INK, 3),
            turn([rect(45, 9, 10, 6, STEEL, 2)], 22 * look.wave(t, 2), 50, 24),
            turn([path(dome, brass), line("M50 20V26", INK, 3)], -38, 50, 58),
            turn([path(dome, brass), line("M50 20V26", INK, 3)], 38, 50, 58),
            circle(50, 58, 35, paint),
            circle(50, 58, 28, WHITE),
            line(ticks, width=2.4),
            turn([line("M50 60V44", INK, 4.4)], minutes / 12 + 150 * look.pose, 50, 58),
            turn([line("M50 60V37", INK, 3)], minutes, 50, 58),
            turn([line("M50 64V36", RED, 1.6)], 6 * int(60 * look.phase + 2 * t), 50, 58),
            circle(50, 58, 3.2, RED),
        ]
    )


@drawing("kettle", ANY_COLOUR, [Paint((20, 40), (0.4, 0.6), (0.3, 0.45)), Paint((230, 260), (0.1, 0.2), (0.25, 0.35))])
def kettle(look, t):
    """Kettle on a burner with flames; a spout that steams, a handle over its lid, which rattles."""
    enamel, grip = look.colours
    dark, pale = shade(enamel, -0.25), shade(enamel, 0.55)
    flames = "".join(f"M{x} 92c-6 -2 -3 -6 0 -11c3 5 6 9 0 11z" for x in (24, 36, 48, 60, 72))
    lid = [path("M32 45Q48 31 64 45Z", enamel), circle(48, 35, 4, grip)]
    return "".join(
        [
            puffs(look.trail(t, 4, 0.7), 93, 30, 2, -28),
            limb("M26 52Q18 14 48 14Q78 14 70 52", grip, 5),
            path("M70 62Q82 58 86 38Q87 35 91 36L97 38Q99 39 98 42Q94 74 72 80Z", enamel),
            path("M19 83Q11 46 36 44H60Q85 46 77 83Q76 86 73 86H23Q20 86 19 83Z", enamel),
            path("M66 47Q83 54 76 82Q75 84 73 84H66Q76 66 66 47Z", dark, outline=False),
            path("M30 52Q22 58 24 72Q28 74 29 70Q28 60 34 54Q34 50 30 52Z", pale, outline=False),
            line("M20 78Q48 83 76 78", pale, 2.4),
            shift(lid, 0, -0.8 - 0.8 * look.wave(t, 5)),
            stretch([path(flames, "#ffa531", stroke_width=1.6)], 1, 1 + 0.25 * look.wave(t, 3), 48, 92),
            path("M12 95V91H84V95Z", RUBBER),
        ]
    )


@drawing("vacuum", ANY_COLOUR, ANY_COLOUR)
def vacuum(look, t):
    """Canister vacuum cleaner: a body on wheels, a ribbed hose, a wand whose brush goes to and fro."""
    paint, trim = look.colours
    dark, pale = shade(paint, -0.25), shade(paint, 0.5)
    reach = 3 * look.wave(t, 0.8)
    hose = f"M42 64Q38 12 62 12Q70 12 {72 - reach / 4:.2f} 22"
    wand = [
        limb("M70 17L86 82", STEEL, 3.5),
        limb("M69 12L74 32", RUBBER, 5),
        path("M70 94V90Q72 82 82 81H90Q98 83 99 90V94Z", trim),
        line("M72 91H97", shade(trim, -0.4), 3),
    ]
    return "".join(
        [
            line(hose, INK, 10),
            line(hose, shade(RUBBER, 0.45), 6),
            line(hose, RUBBER, 6, stroke_dasharray="1.6 3.4", stroke_linecap="butt"),
            path("M4 84Q1 60 24 56H40Q60 58 63 78V84Q63 88 59 88H8Q4 88 4 84Z", paint),
            path("M4 76H62.5V84Q63 88 59 88H8Q4 88 4 84Z", dark, outline=False),
            path("M13 70Q14 62 25 62H33Q31 68 24 68Q16 68 13 70Z", pale, outline=False),
            path("M36 62H48Q56 65 57 71H36Z", trim),
            circle(42, 61, 5.5, RUBBER),
            wheel(18, 84, 11, look.turns(t, 0.5) + reach / 12, trim),
            wheel(54, 89, 6, reach / 6, spokes=False),
            turn(wand, reach, 70, 17),
        ]
    )
