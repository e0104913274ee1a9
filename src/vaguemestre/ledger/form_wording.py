"""What is wrong with a form, or with what a visitor wrote, by code. English texts are message ids."""

from __future__ import annotations

from django.utils.translation import gettext, gettext_noop

FORM_REFUSALS = {
    "missing": gettext_noop("This is needed."),
    "not_text": gettext_noop("Text is needed here."),
    "field_long": gettext_noop("At most %(limit)s characters."),
    "field_phone": gettext_noop("This is not a telephone number."),
    "field_number": gettext_noop("A number is needed here."),
    "field_choice": gettext_noop("Choose one of the answers."),
    "field_name": gettext_noop("A field’s name is of small letters, digits, - and _, and not website."),
    "field_name_twice": gettext_noop("Another field has this name."),
    "field_label": gettext_noop("Give the field a label of at most 200 characters."),
    "field_emails": gettext_noop("A form asks for one email address at most."),
    "field_longest": gettext_noop("A whole number from 0 to 10000."),
    "field_choices": gettext_noop("At most 100 answers, each of at most 500 characters."),
    "field_choices_kind": gettext_noop("A field has answers where, and only where, one is chosen."),
    "form_key": gettext_noop("A form’s key is of 8 to 40 small letters and digits."),
    "form_taken": gettext_noop("There is already a form of this key: delete it, or replace what is there."),
    "form_fields": gettext_noop("A form has 1 to 50 fields."),
    "form_name": gettext_noop("Give the form a name of at most 100 characters."),
    "form_reply_address": gettext_noop("A reply needs a field for the visitor’s email address."),
    "form_files_notify": gettext_noop("Files travel with the notification: name somebody to notify."),
    "form_languages": gettext_noop("Name at least one language, such as fr or pt-BR."),
    "form_origin": gettext_noop("A site looks like https://www.example.org, without a path."),
    "form_thanks": gettext_noop("An address of a page looks like https://example.org/merci."),
    "form_number": gettext_noop("Give a whole number from 1 to %(most)s."),
    "form_token": gettext_noop("The page is not ours; open the form anew."),
    "form_fast": gettext_noop("That was very quick; look it over and send it once more."),
    "form_old": gettext_noop("The page is of another day; send it once more."),
    "form_page_used": gettext_noop("This page served for another submission; send it once more."),
    "form_files_many": gettext_noop("At most 5 files."),
    "form_files_large": gettext_noop("The files are too large: at most 5 MB."),
    "too_many": gettext_noop("There are too many of them."),
    "template_unknown": gettext_noop("There is no such template."),
}
_UNREPLIED = {
    "off": gettext_noop("The form does not reply."),
    "no_address": gettext_noop("No address was given."),
    "automatic": gettext_noop("Nobody reads at that address: a program stands behind it."),
    "own_address": gettext_noop("The address is a sender of ours."),
    "often": gettext_noop("The address had three replies in a day."),
    "template": gettext_noop("The template of the reply is at fault; the log tells more."),
}


def unreplied_text(code: str) -> str:
    """Why a visitor got no reply."""
    return gettext(_UNREPLIED[code])
