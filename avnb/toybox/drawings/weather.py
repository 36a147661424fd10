"""Rain, thunder and wind: weather as things that can stand beside others."""

from .shapes import (
    LEAF,
    PINK,
    WHITE,
    WOOD,
    YELLOW,
    Paint,
    circle,
    drawing,
    ellipse,
    limb,
    line,
    path,
    shade,
    shift,
    turn,
)

_CLOUD = "M20 48Q3 48 3 35Q4 22 18 22Q22 5 42 5Q58 4 65 15Q82 10 87 25Q98 27 97 38Q95 48 82 48Z"
_CLOUD_SHADE = "M6 42Q10 47 20 47H82Q93 47 96 39Q84 42 72 38Q60 44 48 39Q36 44 26 39Q16 44 6 42Z"


@drawing(
    "rain", [Paint((195, 235), (0.25, 0.45), (0.68, 0.8))], [Paint((195, 220), (0.65, 0.85), (0.5, 0.6))], aloft=True
)
def rain(look, t):
    """Grey-blue cloud with many falling drops and a rippling puddle below."""
    cloud, water = look.colours
    slant = 4 * look.pose
    drops = ""
    for i in range(20):
        age = (look.turns(t, 0.9) + 0.618 * i) % 1
        x, y = 11 + 4.1 * i + slant * (age - 0.5), 42 + 42 * age
        drops += f"M{x:.1f} {y:.1f}q-5.4 7.6 0 8.6q5.4 -1 0 -8.6z"
    ripple = look.turns(t, 0.8) % 1
    return "".join(
        [
            ellipse(50, 93, 42, 5, water, outline=False, fill_opacity=0.75),
            ellipse(
                38, 93, round(3 + 12 * ripple, 2), round(1 + 2.4 * ripple, 2), "none", stroke=WHITE, stroke_width=1.2
            ),
            ellipse(
                66, 93, round(15 - 12 * ripple, 2), round(3.4 - 2.4 * ripple, 2), "none", stroke=WHITE, stroke_width=1.2
            ),
            path(drops, water, stroke_width=1.5),
            shift(
                [path(_CLOUD, cloud), path(_CLOUD_SHADE, shade(cloud, -0.18), outline=False)],
                1.5 * look.wave(t, 0.4),
                0,
            ),
        ]
    )


@drawing(
    "thunder", [Paint((215, 275), (0.14, 0.3), (0.34, 0.46))], [Paint((44, 56), (0.9, 1.0), (0.52, 0.62))], aloft=True
)
def thunder(look, t):
    """Dark storm cloud with a large jagged bolt of lightning that flashes, and a small one that comes and goes."""
    cloud, bolt = look.colours
    flash = look.turns(t, 1.2) % 1
    bright = flash < 0.25 or 0.4 < flash < 0.55
    glow = circle(50, 52, 44, shade(bolt, 0.5), outline=False, fill_opacity=0.45) if bright else ""
    small = path("M78 46L68 62H75L70 78L85 58H78L85 46Z", shade(bolt, 0.2)) if flash > 0.5 else ""
    return "".join(
        [
            glow,
            path("M44 44L26 70H43L34 97L66 62H49L62 44Z", shade(bolt, 0.45) if bright else bolt),
            small,
            path("M24 46L16 58H22L18 70L29 55H23L30 46Z", shade(bolt, 0.2)) if flash < 0.5 else "",
            shift(
                [
                    path(_CLOUD, cloud),
                    path(_CLOUD_SHADE, shade(cloud, -0.35), outline=False),
                    line("M18 30Q20 24 27 26M40 14Q46 10 52 14", shade(cloud, 0.3), 3),
                ],
                1.5 * look.wave(t, 0.4),
                0,
            ),
        ]
    )


@drawing("wind", [*LEAF, Paint((18, 45), (0.65, 0.85), (0.5, 0.6))], WOOD)
def wind(look, t):
    """Tree bent by the wind, swirling lines of air, and leaves that fly off."""
    leaf, wood = look.colours
    dark, pale = shade(leaf, -0.22), shade(leaf, 0.3)
    bend = 6 + 5 * look.wave(t) + 3 * look.pose
    crown = [
        path(
            "M36 44Q27 38 32 29Q30 17 42 15Q47 5 58 8Q67 1 76 8L90 7L85 14L99 18L91 24L103 32L92 35L101 46L88 46L91 56"
            "L77 53Q70 61 62 54Q52 60 47 52Q38 52 36 44Z",
            leaf,
        ),
        path(
            "M36 44Q38 52 47 52Q52 60 62 54Q70 61 77 53L91 56L88 46Q78 50 72 45Q64 52 56 46Q48 50 36 44Z",
            dark,
            outline=False,
        ),
        line("M44 24Q50 17 58 20M62 33Q69 27 78 29M46 38Q52 32 59 35M74 17Q80 14 85 15", pale, 3),
    ]
    flying = []
    for i, age in enumerate(look.trail(t, 4, 0.5)):
        flake = [path("M0 0Q4 -6 10 0Q4 6 0 0ZM2 0H8", [leaf, YELLOW, pale, PINK][i], stroke_width=1.4)]
        height = (24, 62, 74, 86)[i] + 4 * look.wave(t, 1, i / 4)
        flying.append(shift([turn(flake, 360 * age + 90 * i, 5, 0)], 92 * age - 2, height))
    swirls = "M1 63H30Q41 63 40 55Q38 49 32 52M6 77H22M58 78H84Q96 78 95 70Q93 63 86 67M0 22H15Q24 22 23 14Q20 9 15 12"
    return "".join(
        [
            shift([limb(swirls, WHITE, 2.4)], 4 * look.wave(t, 0.8), 0),
            path("M21 95Q33 90 36 74Q38 60 47 42H58Q51 62 50 76Q51 90 57 95Z", wood),
            shift([turn(crown, bend, 50, 90)], -9, 0),
            *flying,
        ]
    )
