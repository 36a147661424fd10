"""Baby, singer and audience."""

from .shapes import (
    ANY_COLOUR,
    HAIR,
    INK,
    MOUTH,
    PINK,
    RED,
    RUBBER,
    SKIN,
    STEEL,
    WHITE,
    circle,
    drawing,
    ellipse,
    eyes,
    group,
    limb,
    line,
    path,
    shade,
    shift,
    turn,
)


@drawing("baby", SKIN, HAIR, ANY_COLOUR)
def baby(look, t):
    """Sits in a nappy facing us; big head with one curl, round cheeks, open mouth, waving arms."""
    skin, hair, bib = look.colours
    blush = shade(skin, -0.12)
    gape = 1 + 0.35 * look.wave(t, 1.3)
    wave = 16 * look.wave(t, 1.5) + 8 * look.pose
    head = [
        path("M18 34a6 6 0 1 0 8 6M82 34a6 6 0 1 1 -8 6", skin),
        path("M50 8Q80 8 80 36Q79 60 50 60Q21 60 20 36Q20 8 50 8Z", skin),
        limb("M50 9Q44 2 50 -1Q57 -1 55 5", hair, 2.4),
        path("M33 14Q41 6 50 8Q60 6 67 14Q58 12 50 16Q42 12 33 14Z", hair, outline=False),
        ellipse(29, 44, 5.5, 4, RED, outline=False, fill_opacity=0.35),
        ellipse(71, 44, 5.5, 4, RED, outline=False, fill_opacity=0.35),
        eyes(look, t, [(36, 35), (64, 35)], 4),
        line("M31 27Q35 24 39 26M69 27Q65 24 61 26", shade(hair, -0.3), 2),
        ellipse(50, 49, 8, round(5 * gape, 2), MOUTH),
        ellipse(50, round(50 + 2 * gape, 2), 4.5, round(1.8 * gape, 2), PINK, outline=False),
        line("M48 41Q50 43 52 41", blush, 2),
    ]
    return "".join(
        [
            turn([limb("M36 66Q22 68 14 56", skin, 8)], wave, 36, 66),
            turn([limb("M64 66Q78 68 86 56", skin, 8)], -wave, 64, 66),
            path("M34 60Q28 84 34 88H66Q72 84 66 60Z", skin),
            limb("M38 86Q24 80 17 89M62 86Q76 80 83 89", skin, 9),
            path("M30 78Q50 84 70 78Q72 94 58 94H42Q28 94 30 78Z", WHITE),
            path("M36 59Q50 66 64 59Q66 74 50 76Q34 74 36 59Z", bib),
            circle(50, 68, 3, WHITE, outline=False),
            turn(head, 4 * look.wave(t, 0.8), 50, 58),
        ]
    )


@drawing("singer", SKIN, HAIR, ANY_COLOUR)
def singer(look, t):
    """Woman in a long dress at a microphone stand, mouth open, one arm raised; notes rise beside her."""
    skin, hair, dress = look.colours
    gape = 1 + 0.4 * look.wave(t, 1.4)
    notes = []
    for i, age in enumerate(look.trail(t, 2, 0.4)):
        mark = path(
            "M7 -15V0a4 3.2 0 1 1 -3 -3V-18L17 -21V-4a4 3.2 0 1 1 -3 -3V-16Z", [dress, RED][i], stroke_width=1.6
        )
        notes.append(shift([mark], 68 + 17 * i + 2 * look.wave(t, 1, i / 2), 60 - 40 * age))
    head = [
        path("M44 7Q60 7 60 24Q60 40 44 41Q28 40 28 24Q28 7 44 7Z", skin),
        path("M28 26Q26 6 44 4Q62 6 60 22Q52 20 46 12Q40 22 28 26Z", hair),
        eyes(look, t, [(40, 24), (53, 24)], 2.4),
        ellipse(48, 33.5, 4, round(3.4 * gape, 2), MOUTH, stroke_width=1.6),
        ellipse(36.5, 30, 3, 2.2, RED, outline=False, fill_opacity=0.35),
    ]
    return "".join(
        [
            path("M44 4Q22 4 22 28Q22 48 16 56Q28 62 36 54H54Q62 58 68 52Q64 40 64 26Q63 4 44 4Z", hair),
            turn([limb("M34 52Q22 52 10 38", skin, 5)], 10 * look.wave(t, 0.6) + 8 * look.pose, 34, 52),
            path("M40 38H48V48H40Z", skin),
            path("M34 47Q40 51 44 51Q48 51 54 47Q58 56 54 66Q66 82 68 95H20Q22 82 34 66Q30 56 34 47Z", dress),
            path("M33 66Q44 70 55 66L56 70Q44 74 32 70Z", shade(dress, -0.3), outline=False),
            line("M36 92L40 76M46 92V78M56 92L52 77", shade(dress, -0.3), 1.8),
            turn(head, 4 * look.wave(t, 0.6), 44, 40),
            line("M70 94V46L63 40", INK, 3.4),
            path("M60 95Q62 90 70 90Q78 90 80 95Z", RUBBER),
            limb("M70 48L60 39", RUBBER, 4),
            circle(58, 37, 5.5, STEEL),
            line("M54.5 35L59.5 41M57 33L62 38", width=1.2),
            limb("M54 52Q62 62 69 54", skin, 5),
            *notes,
        ]
    )


@drawing("audience", SKIN, SKIN, ANY_COLOUR, ANY_COLOUR)
def audience(look, t):
    """Three pairs of clapping hands with sleeves, a large one before two small ones, and marks where the palms meet."""
    front, back, sleeve, other = look.colours
    return "".join(
        [
            _clap(
                back, other, look.wave(t, 1.6, 0.4), f"translate(16 70) rotate({-12 + 5 * look.pose:.1f}) scale(0.48)"
            ),
            _clap(
                back, other, look.wave(t, 1.6, 0.7), f"translate(84 70) rotate({12 + 5 * look.pose:.1f}) scale(0.48)"
            ),
            _clap(front, sleeve, look.wave(t, 1.6), f"translate(50 98) rotate({5 * look.pose:.1f}) scale(0.78)"),
        ]
    )


def _clap(skin, sleeve, beat, place):
    """A pair of hands standing on the origin, whose palms meet when the beat (-1 to 1) is low."""
    hand = [
        path("M-37 0L-31 -22H-9L-12 0Z", sleeve),
        path(
            "M-30 -18L-34 -40L-39 -61Q-40 -66 -36 -67Q-32 -68 -30.5 -63L-27 -50L-30 -73Q-30 -78 -26 -78.5"
            "Q-22 -79 -21.5 -74L-20 -52L-19.5 -76Q-19 -81 -15 -80.5Q-11 -80 -11.5 -75L-12.5 -51L-10.5 -68"
            "Q-10 -72 -6.5 -71.5Q-3 -71 -3.5 -66L-6 -40Q-5 -26 -11 -18Z",
            skin,
        ),
        path("M-9 -22Q2 -28 1 -46Q0 -51 -4 -50Q-8 -49 -8 -44Q-10 -36 -17 -33", skin),
        line("M-33 -20Q-21 -15 -8 -20", WHITE, 5),
    ]
    left = turn(hand, -7 - 7 * beat, -22, 0)
    marks = line("M0 -84V-95M-14 -84L-20 -93M14 -84L20 -93", INK, 3) if beat < 0 else ""
    return group([left, group([left], "scale(-1 1)"), marks], place)
