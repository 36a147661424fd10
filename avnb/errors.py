"""The parent of the package's own errors, all of which are written for people: what was given, what to do."""


class AvnbError(ValueError):
    """Bad input, or something that is not there. The command line shows it as one line."""


class InapplicableError(AvnbError):
    """A question that cannot be put to this model: no failure, and a notebook shows the reason alone."""

    def _render_traceback_(self):
        return [f"Does not apply: {self}"]
