"""How the published scorers tell from the words of an answer whether it is right: the same answers, several numbers.

A rule takes the answer, the names of the options, their texts, and the name of the right one. It gives True or False,
or None where the rule leaves the answer out of the count.

>>> both_ways = "No, yes."
>>> avcd(both_ways, ("yes", "no"), ("Yes", "No"), "yes"), mad(both_ways, ("yes", "no"), ("Yes", "No"), "no")
(True, False)
"""

import re

from avnb.text import content


def avcd(answer, options, said, right):
    """AVHBench as AVCD scores it: the right word occurs anywhere, also as a part of another one."""
    return right in answer.lower()


def mad(answer, options, said, right):
    """AVHBench as MAD scores it: a word of assent counts first, then "no", then the first word."""
    text = answer.lower()
    if re.search(r"\b(yes|true|correct|affirmative)\b", text):
        return right == "yes"
    if re.search(r"\bno\b", text):
        return right == "no"
    return text.split()[:1] == [right]


def cmm(answer, options, said, right):
    """CMM's own: the right word occurs in the first five characters."""
    return right in answer.strip().lower()[:5]


def vlmevalkit(answer, options, said, right):
    """WorldSense as VLMEvalKit scores it: the first capital letter of an option, in a word too, once "Answer:" is gone.

    Where there is none it asks a language model; here that is wrong.
    """
    found = re.search(r"[ABCD]", answer.replace("Answer:", ""))
    return found is not None and found[0] == right


def lmms(answer, options, said, right):
    """WorldSense as lmms-eval scores it: any of the capital letters, in a word too; of several the last one in
    parentheses, else the first of the alphabet; without any, "A".

    (There a longer answer without any is first searched for the text of an option; not so here.)
    """
    found = [letter for letter in "ABCD" if letter in answer]
    return max(found, key=lambda letter: answer.rfind(f"({letter})"), default="A") == right


def dave(answer, options, said, right):
    """DAVE's own: the whole answer is the letter in parentheses."""
    return answer.strip() == f"({right})"


def daily_omni(answer, options, said, right):
    """Daily-Omni's own: the answer starts with the letter, in either case. An empty one is a failure, not counted."""
    return answer.strip()[:1].upper() == right if answer.strip() else None


def words(answer, options, said, right):
    """For options that are captions: the one with which the answer shares most words; a tie is wrong."""
    named = set(content(answer))
    shared = [len(named & set(content(text))) / len(named | set(content(text)) or {""}) for text in said]
    best = max(shared)
    return shared.count(best) == 1 and options[shared.index(best)] == right
