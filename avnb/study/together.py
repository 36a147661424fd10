"""Several analyses in one pass over the clips, what they ask of a clip alike being run once.

    >>> clips = avnb.datasets.load("toybox", n=2)
    >>> tables, failed = measure(["fidelity", "attention"], "toy-omni", clips, dataset="toybox")
    >>> list(tables), failed
    (['fidelity', 'attention'], {})

The tables are those of separate calls of `study.measure`, on disk under the same names, with the same parts while they
are measured. Clip by clip, every analysis first says what it asks of the model. All of that is answered as one tree
(`engine.run_all`): media once, then the questions, then the conditions of each, decoded as one batch. Then the analyses
are asked for their rows, and find the answers there.
"""

import inspect

from avnb import analyses, models, study
from avnb.study.answering import answered


def measure(names, model, clips, *, dataset, seed=0, out=None, retry=False, share=None, load=None, **options):
    """The tables of several analyses of a model, as `study.measure` gives each.

    Args:
        names: of the analyses; one by itself takes its clips in batches.
        model, clips, dataset, seed, out, retry, share, load: as in `study.measure`.
        **options: of the analyses; each gets those that it has.

    Returns:
        (tables, failed): {analysis: table} and {analysis: the error that ended it}; the others go on.

    Raises:
        AnalysisError: there is no such analysis.
        StudyError: an option that none of them has, or one analysis twice.
    """
    names, clips = list(names), list(clips)
    if len(set(names)) < len(names):
        raise study.StudyError(f"{', '.join(names)}: an analysis is named twice; name each once")
    same = {"dataset": dataset, "seed": seed, "out": out, "retry": retry, "share": share, "load": load}
    if len(names) == 1:
        try:
            return {names[0]: study.measure(names[0], model, clips, **same, **options)}, {}
        except Exception as error:
            return {}, {names[0]: error}
    accepted = {name: options_of(name) for name in names}
    if unknown := options.keys() - set().union(*accepted.values()):
        raise study.StudyError(f"none of {', '.join(names)} has an option {min(unknown)!r}")
    model = (load or models.load)(model) if isinstance(model, str) else model
    running = _Running(clips)
    for name in names:
        own = {key: value for key, value in options.items() if key in accepted[name]}
        running.go_on(name, study.steps(name, model, clips, **same, **own, at_once=1))
    while running.waiting:
        now = running.next_clip()
        found = answered([work for _, _, work in now.values()])
        for (name, (todo, *_)), rows_or_error in zip(now.items(), found, strict=True):
            running.go_on(name, todo, [rows_or_error])
    return {name: running.tables[name] for name in names if name in running.tables}, running.failed


def options_of(name):
    """The names of the options of an analysis."""
    known, module = analyses.find(name)
    return set(inspect.signature(getattr(module, known.function)).parameters) - {"model", "clips", "out", "seed"}


class _Running:
    """Analyses on their way through the clips.

    Attributes:
        waiting: by analysis, (its steps, the job that it has come to, the work of that).
        tables, failed: by analysis, how it ended.
    """

    def __init__(self, clips):
        self.order = {clip.id: i for i, clip in enumerate(clips)}
        self.waiting, self.tables, self.failed = {}, {}, {}

    def go_on(self, name, steps, found=None):
        """Takes an analysis to its next job: with the rows of the last one, or with the error that it ended in."""
        self.waiting.pop(name, None)
        try:
            ((job, work),) = steps.send(found)
        except StopIteration as end:
            self.tables[name] = end.value
        except Exception as error:  # whatever happens to an analysis, the others go on
            self.failed[name] = error
        else:
            self.waiting[name] = steps, job, work

    def next_clip(self):
        """Those that wait for the first of all clips that any of them waits for."""
        first = min((job.clip.id for _, job, _ in self.waiting.values()), key=self.order.__getitem__)
        return {name: one for name, one in self.waiting.items() if one[1].clip.id == first}
