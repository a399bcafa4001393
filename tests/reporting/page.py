"""A page taken apart, with what is wrong with it."""

from __future__ import annotations

import html.parser

_VOID = {"meta", "link", "img", "br", "hr", "input", "col"}


class Page(html.parser.HTMLParser):
    """Checks that tags close in order; collects ids, loads, text and what lacks an alternative."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.ids, self.loads, self.links, self.tags, self.problems, self.words = [], [], [], [], [], [], []
        self.feed(text)
        self.close()
        if self.stack:
            self.problems.append(f"not closed: {self.stack}")

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        for key in ("src", "href", "xlink:href", "action", "srcset", "data", "poster"):
            if key in given:
                (self.links if tag == "a" else self.loads).append(given[key])
        if tag == "img" and not given.get("alt"):
            self.problems.append("img without alt")
        if tag == "th" and given.get("scope") not in ("row", "col"):
            self.problems.append("th without scope")
        if tag == "svg" and not given.get("aria-label"):
            self.problems.append("svg without label")
        if tag not in _VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if not self.stack or self.stack.pop() != tag:
            self.problems.append(f"</{tag}> out of order")

    def handle_data(self, data):
        if self.stack[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())
