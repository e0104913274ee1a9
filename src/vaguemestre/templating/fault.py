"""What is wrong with a template, or with the data it was given: the part, the line, the words.

A fault is told at the line, so that whoever writes a template finds it. Texts are English; `wording` says the
same in the reader's language, by the code.
"""

from __future__ import annotations

from collections.abc import Mapping

_SAID = {
    "template_syntax": "Line %(line)s: %(said)s.",
    "template_missing": "Line %(line)s: %(name)s is missing before this place.",
    "template_misplaced": "Line %(line)s: %(name)s cannot stand there.",
    "template_variable": "Line %(line)s uses %(name)s, which the data does not hold.",
    "template_filter": "Line %(line)s uses the filter %(name)s, which there is not.",
    "template_range": "Line %(line)s uses a range outside of a for; ranges are for loops alone.",
    "template_value": "Line %(line)s cannot be made with this data: %(said)s.",
    "template_limit": "Line %(line)s takes too much: %(said)s.",
    "template_long": "The template is too long: at most %(limit)s characters.",
    "template_data_long": "The data is too long: at most %(limit)s characters as JSON.",
    "template_data": "The data must be an object of texts, numbers, lists and objects.",
    "template_line_break": "A subject is one line; there is a line break in it.",
    "template_subject_empty": "The subject came out empty.",
    "template_body_empty": "A template needs text or HTML.",
}


class Fault(Exception):
    """A template that cannot be used, or not with this data.

    Attributes:
        part: `subject`, `text`, `html`, or `data` where the data as a whole is at fault.
        code: a stable name.
        line: from 1; 0 where no line is to blame.
        facts: what a translation shows; never a value of the data.
    """

    def __init__(self, part: str, code: str, line: int = 0, **facts: object) -> None:
        self.part = part
        self.code = code
        self.line = line
        self.facts: Mapping[str, object] = {"line": line, **facts}
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """In English."""
        return _SAID[self.code] % self.facts
