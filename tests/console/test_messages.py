"""Messages: the list, one message, and what a person does with it."""

import re
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from console.kit import ACTOR, connect, hand_over, tags, text
from vaguemestre.ledger import connections, dsn, messages, streams
from vaguemestre.ledger.accept import Via
from vaguemestre.ledger.models import Attempt, Chunk, Delivery, Event, Message


def state_of(message):
    return messages.state_of(messages.find(str(message.uid)))


def doubt(message, connection, attempt=None):
    """A delivery of which nobody knows whether it arrived."""
    attempt = attempt or uuid4()
    Delivery.objects.filter(message=message).update(
        state="in_doubt", attempt=attempt, doubts=1, doubt_reason="connection_lost", next_attempt_at=None,
        connection=connection,
    )  # fmt: skip
    return attempt


def ended(message):
    """All of it accepted."""
    Delivery.objects.filter(message=message).update(
        state="accepted", settled_at=timezone.now(), next_attempt_at=None
    )


def test_an_empty_list_says_where_messages_come_from(page):
    assert "Pas encore de message" in text(page.get("/messages/"))


def test_the_list_filters_by_state_and_searches(page):
    hand_over("lea@exemple.org", subject="Facture 12")
    connect("Bureau")
    hand_over("paul@exemple.org", subject="Rappel")

    def subjects(query):
        return [word for word in ("Facture 12", "Rappel") if word in text(page.get(f"/messages/?{query}"))]

    assert subjects("") == ["Facture 12", "Rappel"]
    assert subjects("state=held") == ["Facture 12"]
    assert subjects("state=queued") == ["Rappel"]
    assert subjects("q=PAUL") == ["Rappel"]
    assert subjects("q=facture") == ["Facture 12"]
    assert subjects(f"q={Message.objects.get(subject='Rappel').uid}") == ["Rappel"]
    assert subjects("q=rien") == []
    assert subjects("state=nonsense") == ["Facture 12", "Rappel"]


def test_a_search_by_script_gets_the_results_alone(page):
    hand_over(subject="Facture 12")

    answer = page.get("/messages/?q=facture", headers={"HX-Request": "true"})

    assert "Facture 12" in text(answer)
    assert "<html" not in answer.content.decode()


def test_older_ones_are_behind_a_cursor(page):
    for number in range(52):
        hand_over(subject=f"Message {number:02}")

    first = page.get("/messages/?q=Message")
    older = next(a["href"] for tag, a in tags(first) if tag == "a" and "cursor=" in a.get("href", ""))
    second = page.get(older)

    assert "Message 51" in text(first)
    assert "Message 02" in text(first)
    assert "Message 01" not in text(first)
    assert "Message 01" in text(second)
    assert "Message 02" not in text(second)
    assert "q=Message" in older
    assert "Revenir aux derniers" in text(second)


def test_a_message_tells_what_it_asked_for_and_what_leaves(page):
    connect("Bureau", sender_name="Atelier", is_default=True)
    message = hand_over(headers=["Reply-To: retours@exemple.net"])

    answer = page.get(f"/messages/{message.uid}/")

    words = text(answer)
    assert "demande@exemple.net Atelier <bureau@exemple.fr>" in words.replace(" <br>", "")
    assert "retours@exemple.net" in words
    assert "retirée" in words
    assert "« Bureau » est l’expéditeur par défaut : il porte tous les messages." in words
    assert sum(tag == "s" for tag, _attributes in tags(answer)) == 2


def test_a_held_message_says_why_and_is_released_once_there_is_a_route(page):
    message = hand_over()
    assert "Aucune connexion n’est active." in text(page.get(f"/messages/{message.uid}/"))

    early = page.post(f"/messages/{message.uid}/release/")
    assert early.status_code == 409
    assert "Il n’y a toujours pas de chemin" in text(early)

    connect("Bureau")
    answer = page.post(f"/messages/{message.uid}/release/", follow=True)
    assert "Le message part maintenant." in text(answer)
    assert state_of(message) == "queued"


def test_cancelling_and_its_second_click(page):
    message = hand_over()
    address = f"/messages/{message.uid}/cancel/"

    assert "Ce qui n’était pas encore parti est annulé." in text(page.post(address, follow=True))
    again = page.post(address)

    assert again.status_code == 409
    assert "Tout est terminé pour ce message" in text(again)
    assert "Annuler l’envoi" not in text(again)


def test_d10_an_answer_to_a_doubt_carries_its_attempt_and_a_second_click_is_a_conflict(page):
    office = connect("Bureau")
    message = hand_over()
    attempt = doubt(message, office)
    address = f"/messages/{message.uid}/resolve/"
    shown = page.get(f"/messages/{message.uid}/")
    form = {
        a["name"]: a.get("value")
        for tag, a in tags(shown)
        if tag == "input" and a.get("name") in {"attempt", "recipient"}
    }
    assert form == {"attempt": str(attempt), "recipient": "lea@exemple.org"}

    stale = page.post(address, form | {"attempt": str(uuid4()), "outcome": "send_again"})
    assert stale.status_code == 409
    assert "Il y a eu un autre essai depuis" in text(stale)
    assert state_of(message) == "in_doubt"

    page.post(address, form | {"outcome": "send_again"})
    assert state_of(message) == "queued"
    second = page.post(address, form | {"outcome": "send_again"})
    assert second.status_code == 409
    assert "Plus rien n’est incertain" in text(second)


def test_saying_that_it_arrived(page):
    office = connect("Bureau")
    message = hand_over()
    attempt = doubt(message, office)
    form = {"attempt": str(attempt), "recipient": "lea@exemple.org", "outcome": "arrived"}

    answer = page.post(f"/messages/{message.uid}/resolve/", form, follow=True)

    assert "Noté comme arrivé." in text(answer)
    assert state_of(message) == "accepted"
    assert "user:claire@exemple.fr" in str(list(Event.objects.values_list("detail", flat=True)))


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("From: a@x.fr, b@x.fr\r\n", "Il y a plusieurs adresses ; il en faut une seule"),
        (
            "From: Nous: a@x.fr;\r\n",
            "C’est un groupe d’adresses, car un deux-points ou un point-virgule s’y trouve",
        ),
    ],
)
def test_what_was_taken_before_and_is_refused_now_is_so_in_the_language_of_the_page(page, header, told):
    connect("Bureau")
    message = hand_over()
    old = f"{header}\r\nBonjour\r\n".encode()
    Chunk.objects.filter(message=message).update(data=old)
    Message.objects.update(size=len(old))

    answer = page.post(f"/messages/{message.uid}/resend/")

    assert answer.status_code == 422
    assert told in text(answer).replace("\xa0", " ")


def test_sending_once_more_makes_a_linked_message(page):
    connect("Bureau")
    message = hand_over()

    answer = page.post(f"/messages/{message.uid}/resend/", follow=True)

    assert Message.objects.count() == 2
    assert "du message précédent" in text(answer)
    assert f"/messages/{message.uid}/" in answer.content.decode()


def test_a_blank_subject_can_be_followed(page):
    message = hand_over(subject=" ")

    for address in ("/messages/", f"/messages/{message.uid}/"):
        assert "(sans objet)" in text(page.get(address))


def test_markup_is_read_where_the_text_is_blank(page):
    plain, markup = (
        "--b\r\nContent-Type: text/plain\r\n\r\n ",
        "--b\r\nContent-Type: text/html\r\n\r\n<p>Voici</p>",
    )
    body = f"{plain}\r\n{markup}\r\n--b--"
    message = hand_over(body=body, headers=('Content-Type: multipart/alternative; boundary="b"',))
    words = text(page.get(f"/messages/{message.uid}/"))
    assert "Le texte du HTML" in words
    assert "Voici" in words
    assert "Il ne contient pas de texte." in text(page.get(f"/messages/{hand_over(body='').uid}/"))


def test_of_a_large_message_no_size_is_told_that_was_not_read(page):
    start = "--b\r\nContent-Type: text/plain\r\n\r\nVoici\r\n"
    small, large = (
        f'--b\r\nContent-Disposition: attachment; filename="{name}"\r\nContent-Type: image/png\r\n\r\n{octets}\r\n'
        for name, octets in (("petit.png", "x" * 500), ("grand.png", f"{'y' * 70}\r\n" * 40_000))
    )
    headers = ('Content-Type: multipart/mixed; boundary="b"',)
    words = text(page.get(f"/messages/{hand_over(body=f'{start}{small}{large}--b--', headers=headers).uid}/"))
    assert "petit.png image/png, 500 octets" in words
    assert re.search(r"grand\.png image/png (?!, )", words)
    assert "seul le début est lu ici" in words
    words = text(page.get(f"/messages/{hand_over(body=f'{start}{small}--b--', headers=headers).uid}/"))
    assert "seul le début" not in words


def test_the_time_line_names_recipients_only_where_they_part(page):
    connect("Bureau")
    message = hand_over("lea@exemple.org", "zoe@exemple.org")
    line = r'id="timeline".*'

    shown = page.get(f"/messages/{message.uid}/").content.decode()
    assert "zoe@exemple.org" not in re.search(line, shown, re.DOTALL)[0]
    Event.objects.filter(delivery__recipient="lea@exemple.org").delete()
    shown = page.get(f"/messages/{message.uid}/").content.decode()
    assert "zoe@exemple.org" in re.search(line, shown, re.DOTALL)[0]


def test_a_refused_message_and_the_report_of_it_link_to_each_other(page):
    connect("Bureau")
    message = hand_over(via=Via.SMTP)
    Delivery.objects.filter(message=message).update(
        state="refused", settled_at=timezone.now(), next_attempt_at=None, dsn_due=True,
        trouble={"why": "recipient_refused", "facts": {}},
    )  # fmt: skip
    dsn.send(timezone.now())
    report = Message.objects.get(via="report")

    answer = page.get(f"/messages/{message.uid}/")
    assert "Signalé à l’expéditeur par email · refusé le compte rendu" in text(answer)
    assert "Vérifiez l’adresse, ou joignez le destinataire autrement." in text(answer)
    assert ("a", {"href": f"/messages/{report.uid}/"}) in tags(answer)
    answer = page.get(f"/messages/{report.uid}/")
    assert "Rend compte de ce message" in text(answer)
    # Parts without a name are called by their kind, and those that Python reads as messages have a size too.
    assert re.search(r"Pièces jointes message/delivery-status, [1-9]\d+ octets", text(answer))
    assert "compte rendu de Vaguemestre" in text(answer)
    assert ("a", {"href": f"/messages/{message.uid}/"}) in tags(answer)


def test_a_page_sends_once_more_only_once_however_often_it_is_asked(page):
    connect("Bureau")
    message = hand_over()
    address = f"/messages/{message.uid}/"
    assert "/resend/" not in page.get(address).content.decode()  # it has not left yet: not a second copy
    ended(message)
    shown = page.get(address).content.decode()
    form = {"page": re.search(r'name="page" value="(\w+)"', shown)[1]}

    first, second = (page.post(f"/messages/{message.uid}/resend/", form) for _press in range(2))

    assert Message.objects.count() == 2
    assert first.url == second.url != f"/messages/{message.uid}/"
    anew = re.search(r'name="page" value="(\w+)"', page.get(f"/messages/{message.uid}/").content.decode())[1]
    page.post(f"/messages/{message.uid}/resend/", {"page": anew})
    assert Message.objects.count() == 3


def test_a_message_whose_content_is_gone_says_so(page):
    message = hand_over()
    Chunk.objects.all().delete()

    answer = page.get(f"/messages/{message.uid}/")

    assert "Le contenu n’est plus conservé" in text(answer)
    assert "Renvoyer un exemplaire" not in text(answer)
    assert page.post(f"/messages/{message.uid}/resend/").status_code == 409


def test_the_steps_of_an_attempt_are_told(page):
    office = connect("Bureau")
    message = hand_over()
    now = timezone.now()
    steps = [
        {"phase": "rset", "sent": "RSET", "error": None, "elapsed_ms": 1.0, "detail": "",
         "reply": {"code": 250, "enhanced": "2.0.0", "text": "2.0.0 reset"}},
        {"phase": "rcpt", "sent": "RCPT TO:<lea@exemple.org>", "error": None, "elapsed_ms": 12.0, "detail": "",
         "reply": {"code": 550, "enhanced": "5.1.1", "text": "5.1.1 <i>unknown</i>"}},
        {"phase": "content", "sent": "content, 4096 bytes", "error": None, "elapsed_ms": 2.0, "detail": "",
         "reply": {"code": 250, "enhanced": "", "text": "taken"}},
    ]  # fmt: skip
    Attempt.objects.create(
        uid=uuid4(), message=message, connection=office, connection_version=1, lane_epoch=1,
        started_at=now - timedelta(seconds=3), ended_at=now, peer="192.0.2.1:587", tls="TLSv1.3", steps=steps,
    )  # fmt: skip

    answer = page.get(f"/messages/{message.uid}/")

    assert "RCPT TO:<lea@exemple.org>" in text(answer)
    assert "Prêt pour un autre message 1 ms RSET" in text(answer)
    assert "rien d’envoyé" not in text(answer)
    assert "contenu, 4 ko 250 taken" in text(answer)
    assert "550 5.1.1 &lt;i&gt;unknown&lt;/i&gt;" in answer.content.decode()


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</pre><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7|add:7 }}{% now 'Y' %}",
    "&#60;script&#62;alert(1)",
]


@pytest.mark.parametrize("nasty", NASTY)
def test_i11_subject_body_and_replies_are_inert(page, nasty):
    message = hand_over(subject=nasty, body=nasty)
    Delivery.objects.filter(message=message).update(last_code=550, last_text=nasty)

    for address in ("/messages/", f"/messages/{message.uid}/"):
        answer = page.get(address)
        assert nasty in text(answer) or "script>alert(1)" in text(answer)
        assert_inert(answer)


def test_i11_html_is_shown_as_its_words_alone(page):
    markup = (
        "<h1>Bonjour</h1><script>alert(1)</script><style>p{}</style><p onclick=x>Nous <b>déménageons</b>.</p>"
    )
    message = hand_over(
        body=markup, headers=["MIME-Version: 1.0", "Content-Type: text/html; charset=utf-8",
                              "Content-Transfer-Encoding: 8bit"],
    )  # fmt: skip

    answer = page.get(f"/messages/{message.uid}/")

    assert "Nous déménageons." in text(answer)
    assert "alert(1)" not in text(answer)
    assert "Le texte du HTML" in text(answer)
    assert_inert(answer)


HOSTILE = {
    "parentheses": ("To: " + "(" * 900, "Bonjour"),
    "commas": ("To: " + ",\r\n ".join(["," * 400] * 100), "Bonjour"),
    "blanks": ("Content-Type: text/html", "Bonjour" + "<b> </b>" * 100_000),
    "nested": (
        "Content-Type: multipart/x; boundary=b",
        "".join(
            f"--b{n or ''}\r\nContent-Type: multipart/x; boundary=b{n + 1}\r\n\r\n" for n in range(2_000)
        ),
    ),
}


@pytest.mark.parametrize(("header", "body"), HOSTILE.values(), ids=HOSTILE)
def test_no_content_keeps_its_page_from_being_shown_at_once(page, header, body):
    message = hand_over(body=body, headers=[header])
    started = time.process_time()
    assert page.get(f"/messages/{message.uid}/").status_code == 200
    assert time.process_time() - started < 3.0


def test_i11_a_bidirectional_override_and_control_characters_are_shown_as_escapes(page):
    message = hand_over(
        body="facture\u202efdp.exe \x1b[31m", headers=["Content-Type: text/plain; charset=utf-8"]
    )

    content = page.get(f"/messages/{message.uid}/").content.decode()

    assert "\u202e" not in content
    assert "\x1b" not in content
    assert "\\u{202e}" in content


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Type: multipart/mixed"],
        ["Content-Type: text/plain; charset=nonsense"],
        ["Content-Type: multipart/mixed; boundary=x", "Content-Transfer-Encoding: base64"],
        ["Content-Type: message/rfc822"],
    ],
)
def test_a_content_that_cannot_be_read_does_not_break_the_page(page, headers):
    message = hand_over(headers=["MIME-Version: 1.0", *headers])

    assert page.get(f"/messages/{message.uid}/").status_code == 200


def test_an_unknown_message_is_not_found(page):
    assert page.get(f"/messages/{uuid4()}/").status_code == 404
    assert page.post(f"/messages/{uuid4()}/cancel/").status_code == 404


def assert_inert(answer):
    for tag, attributes in tags(answer):
        assert not (tag == "script" and "src" not in attributes)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
        assert attributes.get("src", "/static/").startswith("/static/")
        assert not attributes.get("href", "").startswith("javascript")


def test_a_name_of_a_connection_that_was_deleted_still_stands_there(page):
    office = connect("Bureau")
    message = hand_over()
    Delivery.objects.filter(message=message).update(
        state="accepted", settled_at=timezone.now(), next_attempt_at=None
    )
    connections.delete(str(office.uid), "user:x", timezone.now())

    assert "Bureau" in text(page.get(f"/messages/{message.uid}/"))


def test_a_redacted_stream_keeps_its_content_from_being_read(page):
    streams.edit("notifications", {"redact": True}, ACTOR, timezone.now())
    message = hand_over(body="Votre code : 123456", stream="notifications")
    words = text(page.get(f"/messages/{message.uid}/"))
    assert "123456" not in words
    assert "Les liens et les codes sont masqués ici" in words
