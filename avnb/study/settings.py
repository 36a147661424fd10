"""Values for parameters that come from outside: do they look like the defaults whose place they take?

>>> unfit("3", 24), unfit(-1, 24), unfit([], ["both"]), unfit(3, 24)
('give a whole number', 'give a whole number from 0 on', 'give a list that is not empty', '')
"""


def unfit(value, default) -> str:
    """What to give instead of a value, by the default; empty if the value will do. A default of None takes anything."""
    if default is None:
        return ""
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else "give true or false"
    if isinstance(default, int):
        fits = isinstance(value, int) and not isinstance(value, bool)
        from_0_on = fits and value < 0 <= default
        return "give a whole number from 0 on" if from_0_on else "" if fits else "give a whole number"
    if isinstance(default, float):
        return "" if isinstance(value, int | float) and not isinstance(value, bool) else "give a number"
    if isinstance(default, str):
        return "" if isinstance(value, str) else "give a text"
    if not isinstance(default, list | tuple) or not default:
        return ""
    if not isinstance(value, list | tuple):
        return "give a list"
    if not value:
        return "give a list that is not empty"
    if any(isinstance(each, str) and value.count(each) > 1 for each in value):
        return "give each but once"
    wrong = next((found for each in value if (found := unfit(each, default[0]))), "")
    return wrong and f"in the list {wrong}"
