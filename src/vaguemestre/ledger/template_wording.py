"""What is wrong with a template, by code; the texts of `templating.fault`. English texts are message ids."""

from __future__ import annotations

from django.utils.translation import gettext_noop

TEMPLATE_REFUSALS = {
    "template_syntax": gettext_noop("Line %(line)s: %(said)s."),
    "template_missing": gettext_noop("Line %(line)s: %(name)s is missing before this place."),
    "template_misplaced": gettext_noop("Line %(line)s: %(name)s cannot stand there."),
    "template_variable": gettext_noop("Line %(line)s uses %(name)s, which the data does not hold."),
    "template_filter": gettext_noop("Line %(line)s uses the filter %(name)s, which there is not."),
    "template_range": gettext_noop(
        "Line %(line)s uses a range outside of a for; ranges are for loops alone."
    ),
    "template_value": gettext_noop("Line %(line)s cannot be made with this data: %(said)s."),
    "template_limit": gettext_noop("Line %(line)s takes too much: %(said)s."),
    "template_long": gettext_noop("The template is too long: at most %(limit)s characters."),
    "template_data_long": gettext_noop("The data is too long: at most %(limit)s characters as JSON."),
    "template_data": gettext_noop("The data must be an object of texts, numbers, lists and objects."),
    "template_line_break": gettext_noop("A subject is one line; there is a line break in it."),
    "template_subject_empty": gettext_noop("The subject came out empty."),
    "template_body_empty": gettext_noop("A template needs text or HTML."),
    "template_sample": gettext_noop("Line %(line)s: this is not JSON."),
    "template_key": gettext_noop("A template's key is of small letters, digits and hyphens."),
    "template_taken": gettext_noop("A template has this key in this language: open it."),
    "template_language": gettext_noop("A language looks like fr or pt-BR."),
}
