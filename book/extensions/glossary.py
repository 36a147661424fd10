"""The first mention of a glossary word on a page links to the glossary, and pointing at it shows what it means."""

import re

from docutils import nodes
from sphinx.util.nodes import make_refnode

PAGE = "book/glossary"
_NOT_IN = (nodes.reference, nodes.title, nodes.literal, nodes.term, nodes.raw, nodes.math, nodes.literal_block)
_NOT_IN += (nodes.citation, nodes.caption)


def setup(app):
    app.connect("env-updated", outdated)
    app.connect("doctree-resolved", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def meanings(env):
    """The words of the glossary: lower-case word -> (label, first paragraph of what it means)."""
    found = {}
    for item in env.get_doctree(PAGE).findall(nodes.definition_list_item):
        meaning = item.next_node(nodes.definition).next_node(nodes.paragraph).astext()
        for term in item.findall(nodes.term):
            found[term.astext().lower()] = (term["ids"][0], " ".join(meaning.split()))
    return found


def outdated(app, env):
    """The pages to be written anew: all of them, if what words mean has changed since they were written."""
    now = meanings(env) if PAGE in env.found_docs else {}
    before, env.glossary_meanings = getattr(env, "glossary_meanings", now), now
    return [] if before == now else sorted(env.found_docs)


def link(app, doctree, docname):
    if PAGE not in app.env.found_docs:
        return
    left = meanings(app.env)
    by_label = dict(left.values())
    for reference in doctree.findall(nodes.reference):  # those that the text makes itself
        label = reference.get("refuri", "").partition("#")[2]
        if label in by_label:
            reference["reftitle"] = by_label[label]
    if docname == PAGE:
        return
    for text in list(doctree.findall(nodes.Text)):
        if isinstance(text.parent, nodes.TextElement) and not any(isinstance(up, _NOT_IN) for up in _above(text)):
            text.parent.replace(text, list(_linked(text.astext(), left, app.builder, docname)))


def _linked(text, left, builder, docname):
    """The pieces of a text, with links from words that were not met before; takes these out of `left`."""
    start = 0
    pattern = r"\b(" + "|".join(map(re.escape, sorted(left, key=len, reverse=True))) + r")s?\b"
    for match in re.finditer(pattern, text, re.IGNORECASE) if left else ():
        if found := left.pop(match[1].lower(), None):
            label, meaning = found
            reference = make_refnode(builder, docname, PAGE, label, nodes.inline("", match[0]), meaning)
            reference["classes"].append("glossary")
            yield from (nodes.Text(text[start : match.start()]), reference)
            start = match.end()
    yield nodes.Text(text[start:])


def _above(node):
    while node.parent is not None:
        node = node.parent
        yield node
