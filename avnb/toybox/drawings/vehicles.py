"""Ambulance, steam train, car and helicopter."""

from math import cos, pi, sin

from .shapes import (
    ANY_COLOUR,
    GLASS,
    GOLD,
    INK,
    RED,
    RUBBER,
    STEEL,
    WHITE,
    YELLOW,
    Paint,
    circle,
    drawing,
    ellipse,
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


@drawing("ambulance", [Paint((-12, 28), (0.7, 0.85), (0.5, 0.6))])
def ambulance(look, t):
    """White van with a red cross, a stripe, and a bar of red and blue lights that flash in turn."""
    (stripe,) = look.colours
    red_on = look.turns(t, 2) % 1 < 0.5
    left, right = ("#ff3b3b", "#3c5a9c") if red_on else ("#9c3a48", "#3f9bff")
    lamp = 36 if red_on else 52
    body = [
        circle(lamp, 20, 13, left if red_on else right, outline=False, fill_opacity=0.35),
        path("M32 26V20Q32 15 37 15H44V26Z", left),
        path("M44 26V15H51Q56 15 56 20V26Z", right),
        path("M3 80V32Q3 26 9 26H62Q67 26 70 30L80 47L92 51Q97 53 97 60V80Z", WHITE),
        path("M4 60H96V68H4Z", stripe, outline=False),
        path("M64 33L66 33L75 48H60V33Z", GLASS),
        line("M56 27V79M60 55V76", width=1.6),
        circle(28, 44, 13, RED, outline=False),
        path("M25 36H31V41H36V47H31V52H25V47H20V41H25Z", WHITE, outline=False),
        path("M91 56H97V63H93Q91 63 91 60Z", YELLOW),
        rect(1, 76, 98, 7, STEEL, 2),
        line("M63 72h5", width=2),
    ]
    hub = shade(stripe, 0.5)
    return (
        shift(body, 0, look.wave(t, 2)) + wheel(24, 83, 12, look.turns(t), hub) + wheel(76, 83, 12, look.turns(t), hub)
    )


@drawing("train", ANY_COLOUR, [Paint((-10, 30), (0.6, 0.8), (0.45, 0.56))])
def train(look, t):
    """Steam locomotive with cab, boiler, tall chimney, smoke, spoked wheels and a coupling rod."""
    boiler, trim = look.colours
    angle = 2 * pi * look.turns(t)
    x, y = round(5 * cos(angle), 2), round(5 * sin(angle), 2)
    engine = [
        path("M66 44V32L61 22H81L76 32V44Z", RUBBER),
        line("M61 25h20", trim, 4, stroke_linecap="butt"),
        path("M46 44V38Q46 32 52 32Q58 32 58 38V44Z", YELLOW),
        rect(36, 42, 52, 28, boiler, 8),
        rect(40, 45, 42, 4, shade(boiler, 0.4), 2, outline=False),
        path("M50 43V69M64 43V69", "none", stroke=shade(boiler, -0.4), stroke_width=3),
        path("M78 42H84Q91 44 91 56Q91 68 84 70H78Z", RUBBER),
        circle(93, 50, 4.5, YELLOW),
        path("M10 30H38V76H10Z", boiler),
        path("M5 22Q24 14 43 22V29H5Z", trim),
        rect(15, 36, 17, 16, GLASS, 2),
        rect(6, 68, 84, 9, trim, 2),
        path("M86 74L99 92H84Z", trim),
        line("M91 81V91M88 78V91", width=1.4),
    ]
    wheels = [
        wheel(22, 81, 13, look.turns(t), trim),
        wheel(50, 84, 10, look.turns(t), trim),
        wheel(73, 84, 10, look.turns(t), trim),
    ]
    rod = limb(f"M{22 + x} {82 + y}L{73 + x} {84 + y}", STEEL, 2)
    track = line("M1 95.5H99", shade(INK, 0.25), 3)
    smoke = puffs(look.trail(t, 4, 0.8), 70, 17, -42, -8)
    return track + smoke + shift(engine, 0, 0.6 * look.wave(t, 2)) + "".join(wheels) + rod


@drawing("car", ANY_COLOUR)
def car(look, t):
    """Small rounded car seen from the side, with two windows, a lamp and turning wheels."""
    (paint,) = look.colours
    dark, pale = shade(paint, -0.25), shade(paint, 0.45)
    body = [
        path("M4 80Q1 62 12 58L23 56L33 38Q36 33 42 33H61Q66 33 70 37L83 56Q96 58 98 68V76Q98 81 93 81Z", paint),
        path("M4 70H98V76Q98 81 93 81H4Z", dark, outline=False),
        path("M12 61Q44 57 92 61L92 63Q44 60 11 63Z", pale, outline=False),
        path("M30 56L38 41Q39 39 42 39H48V56ZM53 39H60Q63 39 65 41L76 56H53Z", GLASS),
        line("M39 52L43 43M60 52L63 45", WHITE, 2),
        path("M93 61Q98 64 97.5 69H92Q89 65 93 61Z", YELLOW),
        path("M3 64H8V70H3.5Z", RED),
        line("M51 39V78M55 64h6", width=1.6),
        path("M97 80H101V75H95M2 80H-1V75H5", STEEL),
    ]
    turns = look.turns(t)
    return shift(body, 0, 1.2 * look.wave(t, 2)) + wheel(25, 82, 12.5, turns) + wheel(76, 82, 12.5, turns)


@drawing("helicopter", ANY_COLOUR, GOLD, aloft=True)
def helicopter(look, t):
    """Glass cabin, tail boom, skids and two turning rotors."""
    paint, trim = look.colours
    span = cos(2 * pi * look.turns(t, 2))
    blades = stretch([path("M60 19L14 16V21L60 24L106 21V16Z", RUBBER)], round(0.25 + 0.75 * abs(span), 3), 1, 60, 20)
    tail_rotor = turn(
        [path("M10 28Q15 34 10 40Q5 34 10 28ZM10 40Q15 46 10 52Q5 46 10 40Z", WHITE)], 360 * look.turns(t, 1.6), 10, 40
    )
    hull = [
        path("M42 46L10 36L4 26H-1L5 48L44 66Z", paint),
        path("M36 52L24 48V55L38 61Z", trim, outline=False),
        line("M46 76L42 90M74 76L78 90", width=3),
        limb("M32 90H84Q90 90 92 84", STEEL, 2.5),
        rect(56, 20, 8, 16, STEEL),
        path("M46 36Q58 28 72 34V42H44Z", trim),
        path("M36 56Q38 37 60 36Q90 36 97 58Q97 78 72 79H56Q38 78 36 56Z", paint),
        path("M67 42Q84 42 90 59H67Z", GLASS),
        rect(46, 44, 15, 15, GLASS, 4),
        path("M37 64H96.5Q96 68 94 70H39Z", trim, outline=False),
        line("M75 56L72 46M53 55L51 48", WHITE, 2),
        circle(60, 19, 3.5, trim),
    ]
    haze = ellipse(60, 18.5, 46, 4.5, WHITE, outline=False, fill_opacity=0.45)
    return turn([*hull[:5], haze, blades, *hull[5:], tail_rotor], 3 * look.wave(t, 0.5) + 4 * look.pose, 60, 50)
