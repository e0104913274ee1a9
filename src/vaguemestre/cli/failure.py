"""What went wrong, as sentences for standard error."""

from __future__ import annotations

from vaguemestre.mail.errors import Invalid

CHECK = "`vaguemestre check` tells more."
# How to say on a command line what a conflict asks for.
_HINTS = {"successor_needed": " Here: --successor NAME, or --successor none."}


class Failed(Exception):
    """A command that cannot do its work; each argument is a sentence for the person who called it."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


def reasons(error: Exception) -> list[str]:
    """The sentences that an error stands for; none for one that nobody foresaw."""
    match error:
        case Failed(sentences=sentences):
            return list(sentences)
        case Invalid():
            return [str(error)]
        case EOFError():
            return ["Nothing was typed."]
        case BrokenPipeError():
            return []
    return _of_the_ledger(error) or [f"{sentence} {CHECK}" for sentence in _of_the_database(error)]


def _of_the_ledger(error: Exception) -> list[str]:
    """By name: the ledger's module may not be imported before Django is set up."""
    match type(error).__module__, type(error).__name__:
        case "vaguemestre.ledger.refusals", "Refusal":
            faults: tuple[Invalid, ...] = error.errors  # type: ignore[attr-defined]  # matched by name
            return [str(fault) for fault in faults]
        case ("vaguemestre.ledger.refusals", "Conflict" | "Missing") | ("vaguemestre.ledger.vault", _):
            return [f"{error}{_HINTS.get(getattr(error, 'code', ''), '')}"]
        case (("vaguemestre.verification.probe" | "vaguemestre.deliverability.examination"), "Busy"):
            return [str(error)]
    return []


def _of_the_database(error: Exception) -> list[str]:
    """The sentence that an error of Django's database stands for; none for another error."""
    kinds = {"OperationalError", "ProgrammingError", "DatabaseError", "InterfaceError", "InternalError"}
    if type(error).__module__ != "django.db.utils" or type(error).__name__ not in kinds:
        return []
    return [unusable("The database", error)]


def unusable(name: str, error: Exception) -> str:
    """One sentence: a driver's first line is what happened, further ones are questions."""
    first = str(error).strip().partition("\n")[0].strip().rstrip(".") or type(error).__name__
    return f"{name} cannot be used: {first}."
