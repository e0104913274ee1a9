"""Outlooks in sentences: one for every code, in each language, and exact for those that people meet most."""

from datetime import UTC, datetime

import pytest
from django.utils import translation

from vaguemestre.ledger.outlook_wording import (
    delivery_sentences,
    delivery_text,
    lane_text,
    manner_text,
    manner_why_text,
)
from vaguemestre.mail.manner import Manner
from vaguemestre.policy.decision import ReasonCode
from vaguemestre.policy.lane_outlook import LaneCode
from vaguemestre.policy.manner import Ladder, MannerWhy
from vaguemestre.policy.outlook import Count, Outlook, OutlookCode

pytestmark = pytest.mark.any_database
AT = datetime(2026, 11, 24, 14, 20, 5, tzinfo=UTC)
SAID = "454 4.7.0 %(slow)s 100% down"
FACTS = {
    "connection": "Office", "why": "limit_reached", "why_facts": {}, "said": SAID, "limit": "per_minute",
    "tokens": 12_000, "by": "user:ada@example.org", "not_before": AT, "expires_at": AT, "last_try": True,
    "backup_for": "Farm", "backup": "Farm", "undecided": "twice", "reason": {"code": "ambiguous", "facts": {}},
    "since": AT, "held": Count(2), "sessions": 1,
}  # fmt: skip


def texts(facts, at=AT):
    found = {f"delivery {code}": delivery_text(Outlook(code, at, facts)) for code in OutlookCode}
    return found | {f"lane {code}": lane_text(Outlook(code, at, facts)) for code in LaneCode}


@pytest.mark.parametrize("facts", [FACTS, FACTS | {"doubt": "timeout"}, FACTS | {"ahead": Count(3)}])
@pytest.mark.parametrize("at", [AT, None])
@pytest.mark.parametrize("language", ["fr", "it"])
def test_every_code_has_a_sentence_in_each_language(facts, at, language):
    with translation.override("en"):
        english = texts(facts, at)
    with translation.override(language):
        other = texts(facts, at)
    for name, text in (*english.items(), *other.items()):
        assert text.rstrip("”»\N{NO-BREAK SPACE}").endswith((".", "down")), (name, text)
        assert at is None or "?" not in text, (name, text)
        assert "%(" not in text.replace("%(slow)s", ""), (name, text)
    assert not [name for name in english if english[name] == other[name]]


def test_no_fact_that_is_missing_breaks_a_sentence():
    assert all(texts({}, None).values())


DELIVERIES = [
    (OutlookCode.LEAVES_NOW, None, {"ahead": Count(1)},
     "It leaves as soon as its turn comes: 1 is ahead of it.",
     "Il part dès que vient son tour : 1 est devant lui."),
    (OutlookCode.LEAVES_NOW, None, {"ahead": Count(10_000, more=True)},
     "It leaves as soon as its turn comes: more than 10,000 are ahead of it.",
     "Il part dès que vient son tour : plus de 10 000 sont devant lui."),
    (OutlookCode.GREYLISTED, AT, {"why": "recipient_deferred", "said": "451 4.7.1 Greylisted"},
     ("The server first turns away whom it does not know, on purpose (greylisting), and takes the message a little "
     "later. The next attempt is on 2026-11-24 at 14:20:05 UTC. The server said: “451 4.7.1 Greylisted”"),
     ("Le serveur fait d’abord patienter ceux qu’il ne connaît pas (liste grise), puis il accepte le message. "
     "Prochain essai le 2026-11-24 à 14:20:05 UTC. Le serveur a dit : « 451 4.7.1 Greylisted »")),
    (OutlookCode.RETRY, AT, {"why": "recipient_deferred", "said": "450 4.2.1 later", "last_try": True},
     ("The server asks to try this recipient later. The next attempt is on 2026-11-24 at 14:20:05 UTC. It is the "
     "last one. The server said: “450 4.2.1 later”"),
     ("Le serveur demande de réessayer ce destinataire plus tard. Prochain essai le 2026-11-24 à 14:20:05 UTC. "
     "C’est le dernier. Le serveur a dit : « 450 4.2.1 later »")),
    (OutlookCode.LOCKED, None, {"connection": "Bureau", "why": "sign_in_refused"},
     ("It waits for “Bureau”. The server refused the login or the password. The connection is locked. It sends again "
     "once the password is typed anew or a verification succeeds."),
     ("Il attend « Bureau ». Le serveur a refusé le login ou le mot de passe. La connexion est bloquée. "
     "Elle enverra de nouveau dès que le mot de passe aura été ressaisi ou qu’une vérification aura réussi.")),
    (OutlookCode.SENDING_PAUSED, None, {"connection": "Bureau", "paused": "by_hand", "by": "cli:ada", "since": AT},
     "All of sending is paused: nothing leaves. Paused by ada (command line), on 2026-11-24 at 14:20:05 UTC.",
     ("Tout l’envoi est en pause : rien ne part. Mis en pause par ada (ligne de commande), le 2026-11-24 à 14:20:05 "
     "UTC.")),
    (OutlookCode.SENDING_PAUSED, None, {"connection": "Bureau", "paused": "older", "by": "courier", "since": AT,
     "locked": True, "why": "sign_in_refused"},
     ("All of sending is paused: nothing leaves. This database may be a copy: a person decides whether it sends. "
     "Besides, “Bureau” is locked. The server refused the login or the password. The connection is locked. It sends "
     "again once the password is typed anew or a verification succeeds."),
     ("Tout l’envoi est en pause : rien ne part. Cette base de données est peut-être une copie : à une personne de "
     "décider si l’envoi reprend. Par ailleurs, « Bureau » est bloquée. Le serveur a refusé le login ou le mot de passe. La connexion "
     "est bloquée. Elle enverra de nouveau dès que le mot de passe aura été ressaisi ou qu’une vérification aura "
     "réussi.")),
    (OutlookCode.PAUSED, None, {"connection": "Bureau", "by": "user:ada@exemple.fr"},
     "It waits for “Bureau”, which is paused. It was paused by ada@exemple.fr.",
     "Il attend « Bureau », qui est en pause. Mise en pause par ada@exemple.fr."),
    (OutlookCode.LIMIT_REACHED, AT, {"connection": "Bureau", "limit": "per_day", "tokens": 10_000},
     ("The limit of “Bureau” lets this message leave on 2026-11-24 at 14:20:05 UTC at the earliest. The limit is "
     "10,000 recipients in 24 hours."),
     ("La limite de « Bureau » laisse partir ce message le 2026-11-24 à 14:20:05 UTC au plus tôt. La limite "
     "est de 10 000 destinataires en 24 heures.")),
    (OutlookCode.DOUBT_RETRY, AT, {"doubt": "timeout"},
     ("The server did not answer in time after the end of the message. It may have arrived, or not. If nobody "
     "decides before, the same bytes are sent again on 2026-11-24 at 14:20:05 UTC."),
     ("Le serveur n’a pas répondu à temps après la fin du message. Il est peut-être arrivé, peut-être pas. Si "
     "personne n’en décide avant, il sera renvoyé à l’identique le 2026-11-24 à 14:20:05 UTC.")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "at", "facts", "english", "french"), DELIVERIES)
def test_what_people_meet_most_is_said_in_full(code, at, facts, english, french):
    outlook = Outlook(code, at, facts)
    with translation.override("en"):
        assert delivery_text(outlook) == english
    with translation.override("fr"):
        told = delivery_text(outlook)
        assert told.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ") == french


def test_every_hold_says_what_releases_it():
    holds = set(ReasonCode) - {ReasonCode(code) for code in (
        "default_override", "explicit", "stream", "sender", "allowed_sender", "allowed_domain", "default_fallback",
        "only_active",
    )}  # fmt: skip
    assert len(holds) == 6
    with translation.override("en"):
        for code in holds:
            facts = {
                "reason": {"code": code.value, "facts": {"connection_name": "Office", "stream": "invoices"}}
            }
            told = delivery_text(Outlook(OutlookCode.HELD, None, facts))
            assert "leaves once" in told or "cancel it" in told, told


def test_the_servers_words_are_left_to_those_who_do_not_see_them_beside():
    outlook = Outlook(OutlookCode.RETRY, AT, {"why": "recipient_deferred", "said": "450 later"})
    told = " ".join(sentence.told(str) for sentence in delivery_sentences(outlook, quoting=False))
    assert "450 later" in delivery_text(outlook)
    assert "450 later" not in told


def test_a_lock_is_told_even_while_no_courier_runs():
    facts = {"connection": "Office", "why": "sign_in_refused", "locked": True}
    with translation.override("en"):
        for told in (
            delivery_text(Outlook("no_courier", None, facts)),
            lane_text(Outlook("no_courier", None, facts)),
        ):
            assert told.startswith("No courier is running")
            assert "Besides, “Office” is locked. The server refused the login or the password." in told


def test_a_lane_says_what_it_does_and_who_stands_in():
    throttled = Outlook(
        LaneCode.THROTTLED, AT, {"why": "service_closing", "said": "421 bye", "backup": "Ferme"}
    )
    with translation.override("en"):
        assert lane_text(throttled) == (
            "It waits, and is tried again on 2026-11-24 at 14:20:05 UTC. The server is closing its service for now. "
            "“Ferme” stands in for it. The server said: “421 bye”"
        )
        assert lane_text(Outlook(LaneCode.INACTIVE, None, {"held": Count(1)})).endswith("1 is held for it.")


@pytest.mark.parametrize("why", MannerWhy)
def test_a_manner_says_why_it_fell_since_when_and_until_when(why):
    with translation.override("en"):
        told = manner_why_text(Ladder(Manner.DATA, why.value, AT))
    assert told.endswith(
        "Learned on 2026-11-24 at 14:20:05 UTC; faster is tried again on 2026-12-01 at 14:20:05 UTC, or with other "
        "settings."
    )
    assert "CHUNKING" in told or "PIPELINING" in told


def test_the_fastest_manner_needs_no_reason():
    assert manner_why_text(Ladder()) == ""
    assert "CHUNKING" in manner_text(Ladder())
