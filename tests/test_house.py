"""The house: a room may import from rooms below it, never from above."""

import pytest

from avnb.closure import _PACKAGE, _imported

# From the ground floor up; rooms of one floor may not import each other.
FLOORS = (
    {"errors", "questions", "files", "text", "closure", "layers", "stats", "speed", "endpoint"},
    {"paper", "media", "embedders"},
    {"models", "toybox", "show"},
    {"engine", "judge"},
    {"datasets"},
    {"benchmarks"},
    {"analyses"},
    {"study", "examination"},
    {"organisms"},
    {"plots"},
    {"cli"},
    {"__main__"},
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = [
    ".".join(("avnb", *path.relative_to(_PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for path in sorted(_PACKAGE.rglob("*.py"))
]


@pytest.mark.parametrize("name", [name for name in MODULES if name != "avnb"])
def test_imports_go_down(name):
    room = name.split(".")[1]
    for other in {one.split(".")[1] for one in _imported(name)} - {room}:
        assert FLOOR[other] < FLOOR[room], f"{name} imports {other} from above"


def test_every_room_has_a_floor():
    assert {name.split(".")[1] for name in MODULES if name != "avnb"} == set(FLOOR)
