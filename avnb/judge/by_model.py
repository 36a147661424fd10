"""The judge of the study: a language model compares an answer with the reference captions, one modality at a time.

`llm:MODEL@URL` asks a model behind any OpenAI-compatible endpoint; `llm:URL` asks the study's, Qwen/Qwen3-32B. Sound
and picture have prompts of their own, with examples (the file beside this one). A verdict lists what of the references
is matched and missed and what is invented, and gives two scores: fidelity, and leakage, how much of what only the other
modality holds the answer tells as if it belonged to this one.

Texts of clips and answers are data: each is one JSON string in which no bracket is written as such, so that it can
neither end its own quotation nor hold a chat template's control tokens. Temperature 0 and a seed; every valid verdict
is kept on disk under the hash of its request, so that a second run asks only what failed. What is unreachable, refused,
cut off or unparsable has no score, and says why. A key is read from the environment variable AVNB_JUDGE_KEY, and kept
nowhere.

Source: arXiv 2604.02605, caption fidelity; the authors' prompts are not published, these are our own.
"""

import json
import re
from functools import cache
from math import nan
from pathlib import Path
from statistics import median
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from avnb.endpoint import URL, Endpoint, NoAnswerError, excerpt, said
from avnb.files import cache_folder, digest, whole
from avnb.judge.by_words import Words
from avnb.judge.scored import Score
from avnb.judge.words import words_of
from avnb.questions import OTHER

STUDY = "Qwen/Qwen3-32B"  # the judge of the study
KEY = "AVNB_JUDGE_KEY"  # the environment variable that holds the endpoint's key

_MAX_TOKENS = 1024  # of a verdict
_NAME = re.compile(rf"llm:(?:(?P<model>\S+)@)?(?P<url>{URL})")
_AS_DATA = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>[]{}|"})

_Share = Annotated[float, Field(ge=0, le=1)]


class Verdict(BaseModel):
    """What the judge has to answer; its JSON schema goes with every request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    matched: list[str]
    missed: list[str]
    invented: list[str]
    score: _Share
    leakage: _Share


class Model:
    """Judges by a language model.

    Args:
        model: its name at the endpoint.
        url: of the endpoint, up to and with "/v1".
        at_once: how many requests may be under way.
        options: of the `endpoint.Endpoint`: attempts, timeout, pause.
    """

    def __init__(self, model, url, *, at_once=8, **options):
        self.model, self.url, self.at_once = model, url.rstrip("/"), at_once
        self._endpoint = Endpoint(url, KEY, at_once=at_once, **options)
        self.taken = []  # the cost of every verdict that was asked for, not read from disk: (seconds, tokens in, out)

    @property
    def name(self):
        return f"llm:{self.model}@{self.url}"

    def check(self, clip, modality):
        """Why an answer about this clip cannot be judged; "" if it can."""
        return "" if known(clip, modality) else f"nothing is known of its {modality}; give it {modality}_captions"

    def holds(self, clip, modality):
        """The clip's events of a modality; where none is listed, the words of its captions."""
        return clip.events(modality) or Words().holds(clip, modality)

    def words_of(self, name):
        """The words of a name, of an event of the toybox all that name it."""
        return words_of(name)

    def score(self, answer, clip, modality):
        """The `Score` of an answer for one modality."""
        if reason := self.check(clip, modality):
            return Score.unscored(reason)
        request = self.request(answer, clip, modality)
        try:
            verdict = self._kept(request) or self._asked(request)
        except NoAnswerError as why:
            return Score.unscored(str(why))
        lists = (tuple(getattr(verdict, name)) for name in ("matched", "missed", "invented"))
        return Score(verdict.score, *lists, leakage=verdict.leakage if known(clip, OTHER[modality]) else nan)

    def request(self, answer, clip, modality) -> dict:
        """The body of the request for a verdict; equal questions have equal bodies, whatever the clip is called."""
        prompts = _prompts()
        messages = [{"role": "system", "content": prompts["instruction"][modality] + self._switch()}]
        for example in prompts["examples"][modality]:
            messages.append({"role": "user", "content": _quoted(**example["case"])})
            messages.append({"role": "assistant", "content": json.dumps(example["verdict"])})
        messages.append({"role": "user", "content": _case(answer, clip, modality)})
        schema = {"name": "verdict", "strict": True, "schema": Verdict.model_json_schema()}
        return {
            "model": self.model,
            "messages": messages,
            "temperature": 0,
            "seed": 0,
            "max_tokens": _MAX_TOKENS,
            "response_format": {"type": "json_schema", "json_schema": schema},
        }

    def left(self, cases) -> list:
        """Those of some cases, (answer, clip, modality), that have to be asked: each question once, none on disk."""
        bodies = {digest(self.request(*case)): case for case in cases if not self.check(*case[1:])}
        return [case for case in bodies.values() if self._kept(self.request(*case)) is None]

    def estimate(self, n) -> dict:
        """What so many requests would take, by the medians of those that this judge has made.

        Returns:
            dict: requests, tokens_in, tokens_out, seconds; NaN where none was made yet.
        """
        seconds, tokens_in, tokens_out = map(median, zip(*self.taken, strict=True)) if self.taken else [nan] * 3
        seconds /= self.at_once
        return {"requests": n, "tokens_in": n * tokens_in, "tokens_out": n * tokens_out, "seconds": n * seconds}

    def _switch(self):
        return " /no_think" if "qwen3" in self.model.lower() else ""  # a verdict needs no monologue before it

    def _kept(self, request):
        """The verdict on disk for a request, or None."""
        try:
            record = json.loads(_file(request).read_text(encoding="utf8"))
            return Verdict.model_validate(record["verdict"])
        except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged
            return None

    def _asked(self, request):
        """The verdict of the endpoint, written to disk; raises `NoAnswerError`."""
        body, seconds = self._endpoint.reply(request)
        self.taken.append((seconds, *_tokens(request, body)))
        verdict = _verdict(body)
        record = {"request": request, "verdict": verdict.model_dump(), "seconds": seconds}
        with whole(_file(request)) as partial:
            partial.write_text(json.dumps(record, ensure_ascii=False), encoding="utf8")
        return verdict


def parsed(name):
    """The judge that a name describes, None if it is not of this kind.

    Example:
        >>> parsed("llm:http://localhost:8000/v1").name
        'llm:Qwen/Qwen3-32B@http://localhost:8000/v1'
    """
    found = _NAME.fullmatch(name)
    return found and Model(found["model"] or STUDY, found["url"])


def known(clip, modality):
    """What is known of one modality of a clip, as sentences: its captions, else its listed events."""
    if modality == "audio" and clip.kind == "mute":
        return ("Silence.",)
    captions = tuple(filter(str.strip, clip.captions(modality)))
    return captions or clip.events(modality)


def _verdict(body):
    """The verdict in the body of an answer; raises `NoAnswerError`."""
    text = said(body, _MAX_TOKENS)
    try:
        return Verdict.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NoAnswerError(f"unparsable: {where + ': ' if where else ''}{first['msg']}: {excerpt(text)}") from error


def _tokens(request, reply):
    """Tokens in and out of a request: what the endpoint counted, else four characters each."""
    try:
        usage = json.loads(reply)["usage"]
        return int(usage["prompt_tokens"]), int(usage["completion_tokens"])
    except (ValueError, LookupError, TypeError):
        return sum(len(message["content"]) for message in request["messages"]) // 4, len(reply) // 4


def _case(answer, clip, modality):
    return _quoted(known(clip, modality), known(clip, OTHER[modality]), answer)


def _quoted(references, other, answer):
    """The case to judge, a line of JSON for each; no bracket of a text can pass for the prompt's or a template's.

    >>> print(_quoted(["A dog."], [], "<|im_end|>\\n]"))
    REFERENCES: ["A dog."]
    OTHER: []
    ANSWER: ["\\u003c\\u007cim_end\\u007c\\u003e\\n\\u005d"]
    """
    lines = {"REFERENCES": references, "OTHER": other, "ANSWER": [answer]}
    return "\n".join(f"{name}: [{', '.join(map(_as_data, texts))}]" for name, texts in lines.items())


def _as_data(text):
    return json.dumps(text, ensure_ascii=False).translate(_AS_DATA)


@cache
def _prompts():
    return json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf8"))


def _folder(model):
    return cache_folder() / "judge" / digest(model)


def _file(request):
    return _folder(request["model"]) / f"{digest(request)}.json"
