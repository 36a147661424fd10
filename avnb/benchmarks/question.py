"""Questions with a closed set of answers, and the clips that they are asked about.

>>> question = Question("0", "Is the dog visible?", ("yes", "no"), "yes", "seen", said=("Yes", "No"))
>>> question.asked(), question.asked("Say yes or no."), question.chance
('Is the dog visible?', 'Is the dog visible? Say yes or no.', 0.5)
"""

from dataclasses import dataclass

import pandas as pd

from avnb.datasets.manifest import DatasetError
from avnb.media.clip import Clip

YES_NO = ("yes", "no")
LETTERS = "ABCDEFGH"
_LETTER = "Answer with the letter of the right option alone."


@dataclass(frozen=True)
class Question:
    """One question, its options and the right one.

    Attributes:
        id: the name in tables.
        text: what is asked.
        options: the names of the options: ("yes", "no"), or letters.
        answer: the right one.
        task: the part of the set that it belongs to, as the set calls it.
        suffix: what is added so that the answer takes the form of an option.
        said: the text of each option whose probability is taken; default the names.

    Raises:
        DatasetError: the answer is none of the options.
    """

    id: str
    text: str
    options: tuple[str, ...]
    answer: str
    task: str
    suffix: str = ""
    said: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.said:
            object.__setattr__(self, "said", self.options)
        if self.answer not in self.options or len(set(self.options)) < 2 or len(self.said) != len(self.options):
            raise DatasetError(
                f"question {self.id}: the answer {self.answer!r} must be one of two or more options, each with a text; "
                f"options {self.options}, texts {self.said}"
            )

    def asked(self, suffix=None):
        """The whole prompt, with the set's own suffix or another."""
        space = "\n" if "\n" in self.text else " "  # a list of options ends its line
        return f"{self.text}{space}{self.suffix if suffix is None else suffix}".strip()

    @property
    def chance(self):
        """The accuracy of guessing."""
        return 1 / len(self.options)


@dataclass(frozen=True)
class AskedClip(Clip):
    """A clip with questions. A set that gives the sound alone has no `video`.

    Attributes:
        questions: what is asked about it.
        source: the name of the set.
        cluster: what it shares with other clips, the video that it was cut from, say; default itself.
        conflict: whether sound and picture belong to different events; None where the set does not tell.
    """

    questions: tuple[Question, ...] = ()
    source: str = ""
    cluster: str = ""
    conflict: bool | None = None


def yes_no(name, text, answer, task, suffix="Answer yes or no."):
    """A question to be answered with Yes or No.

    Args:
        name: the id.
        text: what is asked.
        answer: "yes" or "no", in any case.
        task: part of the set.
        suffix: as in `Question`.
    """
    return Question(name, text, YES_NO, str(answer).strip().lower(), task, suffix, said=("Yes", "No"))


def choice(name, text, options, answer, task, form="{}", suffix=_LETTER):
    """A question to be answered with the letter of an option.

    Args:
        name: the id.
        text: what is asked.
        options: texts, with or without their letter.
        answer: the letter, or the number of the right option.
        task: part of the set.
        form: of a letter, e.g. "({})".
        suffix: as in `Question`.

    Example:
        >>> choice("0", "What sounds?", ["a dog", "a bell"], 1, "sounds").asked("Which?")
        'What sounds?\\nA. a dog\\nB. a bell\\nWhich?'
    """
    letters = tuple(LETTERS[: len(options)])
    bare = [option.strip().removeprefix(f"{letter}.").strip() for letter, option in zip(letters, options, strict=True)]
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, bare, strict=True))
    right = letters[answer] if isinstance(answer, int) else str(answer).strip().rstrip(".").upper()
    said = tuple(form.format(letter) for letter in letters)
    return Question(name, f"{text.strip()}\n{listed}", letters, right, task, suffix, said)


def table(clips) -> pd.DataFrame:
    """All questions about some clips, one a row.

    Args:
        clips: clips with questions; or such a table, which is given back (`analyses.questions.asked` makes one of
            questions that were asked).

    Returns:
        DataFrame: source, task, item (id of the question), clip, cluster, video, audio (None: the video's own),
        conflict, question, options, said, answer.
    """
    if isinstance(clips, pd.DataFrame):
        return clips
    rows = [
        (clip.source, one.task, one.id, clip.id, clip.cluster or clip.id, clip.video, clip.audio, clip.conflict,
         one.text, one.options, one.said, one.answer)
        for clip in clips
        for one in clip.questions
    ]  # fmt: skip
    columns = ["source", "task", "item", "clip", "cluster", "video", "audio", "conflict", "question", "options"]
    return pd.DataFrame(rows, columns=[*columns, "said", "answer"])


def counts(clips) -> pd.DataFrame:
    """How many questions each task of a set holds, about how many videos, and how often each answer is right.

    Args:
        clips: as in `table`.

    Returns:
        DataFrame: source, task, questions, videos, answers (e.g. "no 2, yes 3"), chance (accuracy of guessing),
        conflict (share of questions about clips whose sound is told not to belong to the picture; NaN if not told).
    """
    rows = []
    for (source, task), some in table(clips).groupby(["source", "task"], sort=False):
        answers = ", ".join(f"{name} {n}" for name, n in some["answer"].value_counts().sort_index().items())
        told = some["conflict"].dropna().astype(float)
        chance = (1 / some["options"].str.len()).mean()
        rows.append((source, task, len(some), some["cluster"].nunique(), answers, chance, told.mean()))
    columns = ["source", "task", "questions", "videos", "answers", "chance", "conflict"]
    return pd.DataFrame(rows, columns=columns)
