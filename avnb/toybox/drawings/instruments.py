"""Piano, guitar, drum, trumpet and bell."""

from .shapes import (
    ANY_COLOUR,
    GOLD,
    INK,
    STEEL,
    WHITE,
    WOOD,
    YELLOW,
    Paint,
    circle,
    dots,
    drawing,
    ellipse,
    limb,
    line,
    path,
    rect,
    shade,
    shift,
    turn,
)


@drawing("piano", [*WOOD, Paint((240, 260), (0.1, 0.2), (0.24, 0.34))], ANY_COLOUR)
def piano(look, t):
    """Upright piano from the front: sheet of music, a wide row of keys of which some go down, pedals."""
    wood, cloth = look.colours
    dark, pale = shade(wood, -0.35), shade(wood, 0.2)
    held = [int(look.turns(t, 2) * 3) % 10, int(look.turns(t, 1) * 7 + 4) % 10]
    keys = [
        rect(6 + 8.8 * i, 55, 8.8, 15 + 2 * (i in held), shade(YELLOW, 0.5) if i in held else WHITE, 1)
        for i in range(10)
    ]
    black = "".join(f"M{12.4 + 8.8 * i:.1f} 55h4.8v9h-4.8z" for i in (0, 1, 3, 4, 5, 7, 8))
    return "".join(
        [
            rect(10, 68, 80, 25, wood),
            rect(18, 75, 64, 13, dark, 2, outline=False),
            path("M42 93V88H46V93ZM48 93V88H52V93ZM54 93V88H58V93Z", YELLOW, stroke_width=1.4),
            rect(10, 14, 80, 42, wood),
            rect(17, 21, 20, 28, pale, 2, outline=False),
            rect(63, 21, 20, 28, pale, 2, outline=False),
            rect(5, 7, 90, 8, pale, 3),
            path("M33 22L49 25V50L33 47ZM67 22L51 25V50L67 47Z", WHITE),
            line("M37 29L45 31M37 35L45 37M37 41L45 43M63 29L55 31M63 35L55 37M63 41L55 43", width=1.3),
            rect(2, 49, 96, 8, dark, 2),
            *keys,
            path(black, INK),
            path("M3 70H97V76H3Z", dark),
            path("M5 76H13V95H5ZM87 76H95V95H87Z", wood),
            rect(6, 54, 88, 2.6, cloth, outline=False),
        ]
    )


@drawing("guitar", [*WOOD, Paint((20, 42), (0.7, 0.85), (0.5, 0.62)), *ANY_COLOUR])
def guitar(look, t):
    """Acoustic guitar, leaning; round sound hole, long neck with frets, strings that tremble."""
    (wood,) = look.colours
    dark = shade(wood, -0.45)
    bow = 1.2 * look.wave(t, 5)
    strings = "".join(f"M{x} 6Q{x + bow:.2f} 46 {x} 84" for x in (47.8, 50, 52.2))
    parts = [
        path(
            "M50 46Q66 40 69 53Q69 60 66 64Q79 71 76 84Q72 99 50 99Q28 99 24 84Q21 71 34 64Q31 60 31 53Q34 40 50 46Z",
            wood,
        ),
        path(
            "M50 50Q63 45 65 54Q65 60 61 65Q75 72 72 83Q68 95 50 95Q32 95 28 83Q25 72 39 65Q35 60 35 54Q37 45 50 50Z",
            shade(wood, 0.3),
            outline=False,
        ),
        circle(50, 66, 9.5, dark),
        circle(50, 66, 7, INK, outline=False),
        rect(45.5, 8, 9, 52, dark),
        line("M46 18h8M46 26h8M46 34h8M46 42h8M46 50h8", YELLOW, 1.4, stroke_linecap="butt"),
        path("M44 10L42 -8Q50 -12 58 -8L56 10Z", wood),
        path(dots([(40, -5), (40.5, 3), (60, -5), (59.5, 3)], 2.4), WHITE, stroke_width=1.6),
        rect(39, 82, 22, 5, dark, 2),
        line(strings, WHITE, 1),
    ]
    return shift([turn(parts, 32 + 6 * look.pose + 3 * look.wave(t, 0.5), 50, 60)], -8, 2)


@drawing("drum", ANY_COLOUR, [Paint((38, 48), (0.75, 0.95), (0.54, 0.64)), Paint((200, 230), (0.1, 0.2), (0.7, 0.84))])
def drum(look, t):
    """Marching drum with a pale skin, roped zigzag, and two sticks that beat in turn."""
    shell, hoop = look.colours
    sticks = []
    for side, offset in ((1, 0.0), (-1, 0.5)):
        lift = -13 * side * (1 + look.wave(t, 2, offset)) - 3 * look.pose
        x = 50 - 8 * side
        hand = x - 36 * side
        stick = [limb(f"M{x} 39L{hand} 13", shade(YELLOW, 0.25), 3), circle(x, 39, 4, shade(YELLOW, 0.25))]
        sticks.append(turn(stick, lift, hand, 13))
    return "".join(
        [
            path("M12 42V80Q14 94 50 94Q86 94 88 80V42Z", shell),
            path("M74 52V91Q86 88 88 80V46Z", shade(shell, -0.2), outline=False),
            line("M14 54L26 88L38 58L50 92L62 58L74 88L86 54", WHITE, 2.6),
            path("M11 74Q13 88 50 88Q87 88 89 74V82Q87 96 50 96Q13 96 11 82Z", hoop),
            path("M11 40Q13 56 50 56Q87 56 89 40V48Q87 64 50 64Q13 64 11 48Z", hoop),
            ellipse(50, 41, 39, 14, hoop),
            ellipse(50, 40.5, 34, 11, WHITE),
            path("M20 44Q30 51 50 51.5Q70 51 80 44Q72 48 50 48Q28 48 20 44Z", shade(WHITE, -0.15), outline=False),
            *sticks,
        ]
    )


@drawing("trumpet", [*GOLD, Paint((18, 30), (0.65, 0.8), (0.5, 0.58)), Paint((205, 225), (0.12, 0.2), (0.68, 0.78))])
def trumpet(look, t):
    """Brass trumpet pointing to one side: flared bell, looped tube, three valves that are pressed in turn."""
    (brass,) = look.colours
    dark, pale = shade(brass, -0.3), shade(brass, 0.6)
    valves = []
    for i, x in enumerate((37, 47, 57)):
        press = 2.2 * look.wave(t, 1.5, i / 3)
        valves.append(
            shift([rect(x + 2, 24, 3, 14, STEEL, stroke_width=1.6), rect(x - 0.5, 21, 8, 5, WHITE, 2)], 0, press)
        )
        valves.append(rect(x, 34, 7, 40, brass, 2))
        valves.append(rect(x, 36, 7, 4, dark, outline=False) + rect(x, 68, 7, 3, dark, outline=False))
    parts = [
        limb("M26 66H66Q76 66 76 56Q76 47 66 47H30Q20 47 20 56Q20 66 26 66Z", dark, 5),
        *valves,
        limb("M4 47H66", brass, 5),
        path("M64 43.5Q84 43 96 22Q100 47 96 74Q84 52 64 50.5Z", brass),
        ellipse(96, 48, 5, 26, dark),
        line("M68 45.5Q82 44 90 34", pale, 2.4),
        path("M-1 41Q4 43 8 44.5V49.5Q4 51 -1 53Z", pale),
        line("M12 47H60", pale, 1.4),
    ]
    return turn(parts, -8 + 8 * look.pose + 4 * look.wave(t, 0.6), 50, 50)


@drawing("bell", [*GOLD, Paint((24, 36), (0.5, 0.7), (0.46, 0.56))], WOOD, ANY_COLOUR)
def bell(look, t):
    """Church bell that swings in a wooden frame with a little roof; the clapper swings after it."""
    metal, wood, roof = look.colours
    swing = 15 + 5 * look.pose
    clapper = turn(
        [line("M50 50V80", width=3), circle(50, 82, 6, shade(metal, -0.4))],
        -1.1 * swing * look.wave(t, 1, 0.18),
        50,
        46,
    )
    cup = [
        clapper,
        path("M50 30Q67 30 68 50Q69 66 79 73Q81 79 76 79H24Q19 79 21 73Q31 66 32 50Q33 30 50 30Z", metal),
        path("M38 44Q39 35 47 34Q42 42 42 54Q41 64 36 71H30Q37 62 38 44Z", shade(metal, 0.55), outline=False),
        path("M60 34Q66 38 66.5 50Q67 64 76 73H68Q61 62 60 34Z", shade(metal, -0.2), outline=False),
        line("M32 59Q50 63 68 59M26 71Q50 75 74 71", shade(metal, -0.4), 2.2),
        rect(43, 21, 14, 10, STEEL, 3),
    ]
    return "".join(
        [
            path("M8 95V22H15V95ZM85 95V22H92V95Z", wood),
            line("M15 42L28 25M85 42L72 25", shade(wood, -0.2), 5),
            path("M3 95H20V89H3ZM80 95H97V89H80Z", shade(wood, -0.3)),
            rect(6, 18, 88, 8, shade(wood, 0.15)),
            turn(cup, swing * look.wave(t), 50, 22),
            path("M0 20L50 0L100 20L98 24L50 8L2 24Z", roof),
        ]
    )
