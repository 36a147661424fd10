"""Language models behind an OpenAI-compatible endpoint: asked until they answer, or until it is clear why they do not.

Requests that fail for a passing reason are made again, later each time or when the endpoint asks for it (Retry-After);
an endpoint that has fallen silent costs one attempt a request. A key comes from an environment variable and goes to the
endpoint alone: it is blotted out of what comes back.
"""

import json
import os
import re
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import random
from threading import BoundedSemaphore

import httpx

URL = r"https?://[^@?#\s]+"  # what an endpoint may be called: without a user, a key or a query

_LONGEST_WAIT = 300  # seconds that an endpoint may ask us to wait
_LATER = {408, 409, 425, 429, 500, 502, 503, 504, 529}  # statuses after which to ask again


class NoAnswerError(Exception):
    """Why there is no answer: begins with unreachable, unparsable, refused or cut off."""


class Endpoint:
    """Where a language model answers.

    Args:
        url: up to and with "/v1".
        key: the environment variable that holds the endpoint's key.
        at_once: how many requests may be under way.
        attempts: how often to ask before it is given up.
        timeout: seconds to wait for an answer.
        pause: seconds before the second attempt, twice as long before each further one.
    """

    def __init__(self, url, key, *, at_once=8, attempts=5, timeout=120.0, pause=1.0):
        self.url, self.key = url.rstrip("/"), key
        self.attempts, self.pause = attempts, pause
        self.client = httpx.Client(base_url=f"{self.url}/", timeout=timeout)
        self._under_way = BoundedSemaphore(at_once)
        self._silent = False  # whether the last request was given up for want of an answer

    def reply(self, request) -> tuple:
        """Asks for a chat completion.

        Args:
            request: the body of the request.

        Returns:
            (body, seconds): that of the answer, and how long it took, without waiting for other requests to end.

        Raises:
            NoAnswerError: unreachable.
        """
        with self._under_way:
            begun = time.monotonic()
            return self._reply(request), time.monotonic() - begun

    def _reply(self, request):
        # Where the last one got no answer at all, the next one is a probe: an outage costs one attempt each.
        attempts = 1 if self._silent else self.attempts
        for attempt in range(attempts):
            try:
                answer = self.client.post("chat/completions", json=request, headers=self._headers())
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                self._silent = attempt + 1 == attempts
                why, wait = f"unreachable: {type(error).__name__} at {self.url}", None
            else:
                self._silent = False
                text = self._without_key(answer.text)  # an endpoint may repeat what it was sent
                if answer.is_success:
                    return text
                why = f"unreachable: status {answer.status_code} from {self.url}: {excerpt(text)}"
                if answer.status_code not in _LATER:
                    raise NoAnswerError(why)
                wait = _seconds(answer.headers.get("retry-after"))
            if wait is not None and wait > _LONGEST_WAIT:
                raise NoAnswerError(f"{why}; it asks to wait for {wait:.0f} s, run again later")
            if attempt + 1 < attempts:
                backoff = self.pause * 2**attempt * (1 + random() / 4)  # apart, so that all do not come back at once
                time.sleep(backoff if wait is None else wait)
        raise NoAnswerError(f"{why} ({attempts} attempts)")

    def _headers(self):
        key = os.environ.get(self.key)
        return {"Authorization": f"Bearer {key}".encode()} if key else {}

    def _without_key(self, text):
        key = os.environ.get(self.key)
        return text.replace(key, "(key)") if key else text


def said(body, max_tokens=None) -> str:
    """What the model says in the body of an answer, without what it thinks before.

    Args:
        body: of an answer.
        max_tokens: how many it was allowed.

    Raises:
        NoAnswerError: unparsable, refused or cut off.

    Example:
        >>> said('{"choices": [{"message": {"content": "<think>Hm.</think> A dog."}}]}')
        'A dog.'
    """
    try:
        choice = json.loads(body)["choices"][0]
        message, ended = choice["message"], choice.get("finish_reason")
        text = message.get("content") or ""
        if not isinstance(text, str):
            raise TypeError("the content is no text")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise NoAnswerError(f"unparsable: no chat completion: {excerpt(body)}") from error
    if message.get("refusal") or ended == "content_filter":
        raise NoAnswerError(f"refused: {excerpt(message.get('refusal') or text or 'by a content filter')}")
    if ended == "length":
        raise NoAnswerError(f"cut off after {max_tokens or 'too many'} tokens: {excerpt(text)}")
    return re.sub(r"^\s*<think>.*?</think>", "", text, flags=re.DOTALL).strip()


def excerpt(text):
    """The beginning of a text, in quotation marks."""
    text = " ".join(str(text).split())
    return repr(text if len(text) <= 120 else text[:119] + "…")


def _seconds(retry_after):
    """The seconds of a Retry-After, given as a number or as a date; None if there is none to go by."""
    try:
        return max(0.0, float(retry_after))
    except (TypeError, ValueError):
        try:
            return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
        except (TypeError, ValueError):
            return None
