"""Dog, cat, cow, rooster and frog."""

from .shapes import (
    ANY_COLOUR,
    FUR,
    INK,
    LEAF,
    MOUTH,
    PINK,
    RED,
    WARM,
    WHITE,
    WOOD,
    YELLOW,
    Paint,
    drawing,
    ellipse,
    eyes,
    limb,
    line,
    path,
    shade,
    shift,
    stretch,
    turn,
)


@drawing("dog", FUR, ANY_COLOUR)
def dog(look, t):
    """Stands sideways, looks at us, wags its tail; floppy ears, long muzzle, tongue out."""
    coat, collar = look.colours
    dark, pale = shade(coat, -0.35), shade(coat, 0.65)
    jaw = 3.5 + 2.5 * look.wave(t, 2)
    ear = "M50 18Q36 18 37 38Q38 52 46 51Q54 48 54 30Z"
    head = [
        path("M66 10Q86 10 87 32Q87 42 81 50Q74 58 66 58Q56 57 51 49Q46 42 46 32Q48 10 66 10Z", coat),
        path("M71 13Q85 15 85 32Q82 40 74 36Q68 24 71 13Z", dark, outline=False),
        ellipse(67.5, 53 + jaw, 5, 6 + jaw / 2, PINK),
        path("M67 36Q81 37 83 48Q82 56 74 55.5Q70 55 67.5 52Q64 56 59 55.5Q52 55 52 48Q54 37 67 36Z", pale),
        path("M61 39Q67.5 34 74 39Q73 45 67.5 46.5Q62 45 61 39Z", INK),
        line("M67.5 46V51"),
        eyes(look, t, [(58, 30), (76, 30)], 3),
        turn([path(ear, dark)], 6 * look.wave(t, 1) - 4, 50, 20),
        turn([path("M83 18Q97 18 96 38Q95 52 87 51Q79 48 79 30Z", dark)], 4 - 6 * look.wave(t, 1), 83, 20),
    ]
    return "".join(
        [
            turn([limb("M18 58Q5 52 8 34", coat, 7)], 20 * look.wave(t, 3), 18, 58),
            limb("M33 70V89M57 70V89", dark, 8),
            limb("M22 68V90M66 68V90", coat, 9),
            path("M13 62Q12 49 28 48H58Q76 48 76 62Q75 79 62 78Q46 74 32 79Q15 80 13 62Z", coat),
            path("M56 54Q66 64 77 57L76 64Q66 70 55 61Z", collar),
            turn(head, 3 * look.wave(t) + 4 * look.pose, 66, 56),
        ]
    )


@drawing("cat", [*FUR, Paint((24, 34), (0.75, 0.9), (0.56, 0.64))], LEAF)
def cat(look, t):
    """Sits facing us; pointed ears, whiskers, striped brow, a tail that swings."""
    coat, iris = look.colours
    dark, pale = shade(coat, -0.35), shade(coat, 0.7)
    head = [
        path("M24 34L22 7Q32 8 41 19M76 34L78 7Q68 8 59 19", coat),
        path("M27 24L26 13Q31 14 35 20ZM73 24L74 13Q69 14 65 20Z", PINK, outline=False),
        path("M50 16Q78 16 79 38Q77 57 50 57Q23 57 21 38Q22 16 50 16Z", coat),
        line("M50 18V27M42 19L43 26M58 19L57 26M23 40L31 42M77 40L69 42", dark, 3.4),
        path("M50 42Q62 42 61 49Q58 56 50 55Q42 56 39 49Q38 42 50 42Z", pale, outline=False),
        eyes(look, t, [(39, 36), (61, 36)], 3.5, shade(iris, 0.35)),
        ellipse(50, 51.5, 3.4, 2.6 + 1.6 * look.wave(t, 1.5), MOUTH, stroke_width=1.6),
        line("M50 47Q49 51 43 50M50 47Q51 51 57 50", width=1.8),
        path("M46.5 43.5H53.5Q52 47.5 50 47.5Q48 47.5 46.5 43.5Z", PINK, stroke_width=1.6),
        line("M34 46L12 42M34 50L13 53M66 46L88 42M66 50L87 53", width=1.3),
    ]
    return "".join(
        [
            turn([limb("M66 88Q92 90 90 70Q88 60 93 54", coat, 7)], 9 * look.wave(t, 0.8), 66, 88),
            path("M36 50Q25 72 29 93H71Q75 72 64 50Z", coat),
            path("M41 56Q50 66 59 56Q61 72 50 76Q39 72 41 56Z", pale, outline=False),
            line("M29.5 76L36 77M30 83L35 84M70.5 76L64 77M70 83L65 84", dark, 3),
            path("M34 94Q34 85 42 85Q49 86 49 94ZM51 94Q51 86 58 85Q66 85 66 94Z", pale),
            turn(head, 3 * look.wave(t) + 5 * look.pose, 50, 56),
        ]
    )


@drawing("cow", [Paint((15, 30), (0.4, 0.6), (0.26, 0.4)), Paint((230, 260), (0.08, 0.16), (0.2, 0.32))])
def cow(look, t):
    """Stands sideways, looks at us and chews; spots, horns, pink muzzle and udder."""
    (spot,) = look.colours
    chew = 1.5 * look.wave(t, 2)
    head = [
        path("M68 22Q60 16 62 6Q71 9 75 18ZM92 22Q100 16 98 6Q89 9 85 18Z", "#f3e3b8"),
        path("M67 25Q54 20 52 29Q58 36 68 32ZM93 25Q104 20 107 29Q102 36 92 32Z", spot),
        path("M80 15Q95 15 95 30Q94 48 80 50Q66 48 65 30Q65 15 80 15Z", WHITE),
        path("M85 16Q94 18 94 31Q91 40 85 36Q81 28 85 16Z", spot, outline=False),
        eyes(look, t, [(73, 31), (87, 31)], 2.8),
        ellipse(80 + chew, 50, 14.5, 9.5, PINK),
        ellipse(80 + 1.5 * chew, 54, 5, 1.6 + abs(chew), MOUTH, stroke_width=1.6),
        path(
            "M73 46a1.8 2.4 0 1 0 3.6 0a1.8 2.4 0 1 0 -3.6 0M83.4 46a1.8 2.4 0 1 0 3.6 0a1.8 2.4 0 1 0 -3.6 0",
            MOUTH,
            outline=False,
        ),
    ]
    tail = [limb("M10 48Q2 54 4 68", WHITE, 2.5), path("M4 66Q10 72 5 80Q-2 76 4 66Z", spot)]
    return shift(
        [
            turn(tail, 14 * look.wave(t, 1.2), 10, 48),
            limb("M28 70V88M58 70V88", shade(WHITE, -0.22), 8),
            limb("M17 68V88M68 68V88", WHITE, 9),
            line("M12.5 91h9M23.5 91h9M53.5 91h9M63.5 91h9", spot, 5, stroke_linecap="butt"),
            path("M34 76Q34 86 38 86Q40 87 41 84H46Q47 87 50 86Q54 86 54 76Z", PINK),
            path("M8 54Q8 40 24 40H64Q78 40 78 54V66Q77 78 64 78H24Q8 78 8 64Z", WHITE),
            path(
                "M20 42Q38 38 36 52Q30 62 20 56Q12 48 20 42ZM46 58Q60 52 62 64Q58 76 48 76Q38 68 46 58Z",
                spot,
                outline=False,
            ),
            path(
                "M9.5 62Q18 64 18 71Q15 76 13 74Q9 70 9.5 62ZM52 41.5H64Q62 48 56 47Q52 46 52 41.5Z",
                spot,
                outline=False,
            ),
            turn(head, 3 * look.wave(t) + 4 * look.pose, 80, 50),
        ],
        -3,
        0,
    )


@drawing("rooster", WARM, WOOD, [Paint((130, 250), (0.4, 0.6), (0.32, 0.45))])
def rooster(look, t):
    """Stands sideways with a fan of tail feathers; red comb and wattle, yellow beak and legs."""
    body, wing, tail = look.colours
    beak = 5 + 5 * look.wave(t, 2)
    feathers = [
        path("M44 70Q28 74 18 66Q8 58 1 64Q2 84 22 84Q36 84 46 78Z", shade(tail, -0.2)),
        path("M44 64Q34 44 18 42Q6 42 0 54Q12 50 18 58Q26 70 44 76Z", tail),
        path("M50 62Q46 24 26 19Q10 16 4 30Q18 27 24 38Q30 58 44 70Z", shade(tail, 0.22)),
    ]
    head = [
        path("M57 20Q51 8 60 9Q61 0 68 6Q76 2 76 11Q82 12 78 22Z", RED),
        path(
            "M54 60Q54 46 56 30Q58 15 69 15Q81 16 81 28Q81 36 79 42Q80 52 84 60L78 57L77 65L70 59L66 67L61 59Z",
            shade(body, 0.3),
        ),
        path("M76 36Q84 38 81 47Q75 50 73 42Z", RED),
        turn([path("M79 31L91 31L79 35Z", shade(YELLOW, -0.2))], beak, 79, 31),
        turn([path("M79 23Q89 23 95 30H79Z", YELLOW)], -beak, 79, 30),
        eyes(look, t, [(72, 25)], 2.8),
    ]
    flap = turn([path("M30 58Q46 48 62 60Q60 76 44 76Q46 72 36 70Q38 66 30 58Z", wing)], 6 * look.wave(t, 1.5), 60, 60)
    return "".join(
        [
            turn(feathers, 4 * look.wave(t, 0.7), 40, 60),
            line("M46 80V94M46 94L38 94M46 94L53 94M58 80V94M58 94L50 94M58 94L66 94", INK, 5.4),
            line("M46 80V94M46 94L38 94M46 94L53 94M58 80V94M58 94L50 94M58 94L66 94", YELLOW, 2.4),
            path("M26 54Q42 60 56 50L80 52Q86 80 56 84Q28 84 26 54Z", body),
            turn(head, 4 * look.wave(t) + 3 * look.pose, 66, 60),
            flap,
        ]
    )


@drawing("frog", [Paint((75, 150), (0.45, 0.65), (0.4, 0.54))])
def frog(look, t):
    """Squats facing us; eyes on top of its head, a wide mouth, a throat that swells."""
    (skin,) = look.colours
    dark, pale = shade(skin, -0.25), shade(skin, 0.6)
    gape = 5 + 4 * look.wave(t)
    lip, tongue = 56 + gape, 55 + 0.8 * gape
    gaze = 2 * look.pose
    head = [
        path("M18 31a13 13 0 1 1 26 0M56 31a13 13 0 1 1 26 0", skin),
        path("M50 26Q86 25 86 46Q84 66 50 66Q16 66 14 46Q14 25 50 26Z", skin),
        eyes(look, t, [(31 + gaze, 31), (69 + gaze, 31)], 4.5, WHITE),
        path(f"M24 48Q50 {52 + gape / 2:.2f} 76 48Q68 {lip:.2f} 50 {lip:.2f}Q32 {lip:.2f} 24 48Z", MOUTH),
        path(
            f"M38 {tongue:.2f}q12 -5 24 0q-12 5 -24 0Z",
            PINK,
            outline=False,
        ),
        line("M46 41V42.5M54 41V42.5"),
    ]
    return "".join(
        [
            path("M32 62Q4 58 6 78Q8 92 30 92ZM68 62Q96 58 94 78Q92 92 70 92Z", dark),
            path("M28 56H72Q80 92 66 93H34Q20 92 28 56Z", skin),
            stretch(
                [path("M36 68Q50 62 64 68Q68 90 50 90Q32 90 36 68Z", pale, outline=False)],
                1 + 0.12 * look.wave(t),
                1,
                50,
                76,
            ),
            limb("M32 70Q28 80 32 90M68 70Q72 80 68 90", skin, 6),
            path("M22 95Q20 91 26 91L32 88L38 91Q44 91 42 95ZM58 95Q56 91 62 91L68 88L74 91Q80 91 78 95Z", skin),
            path("M3 95Q1 90 8 91L16 90Q20 91 18 95ZM82 95Q80 91 84 90L92 91Q99 90 97 95Z", dark),
            shift(head, 0, 1.5 * look.wave(t, 1, 0.25)),
        ]
    )
