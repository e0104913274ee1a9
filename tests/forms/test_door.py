"""`/f/{key}` as visitors and their programs meet it."""

import re

import pytest
from django.test import Client

from forms.kit import JSON, PAGE, RIGHT, connect, contact, kept, send, send_json, token, went_out
from vaguemestre.ledger import form_markup

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _office(db):
    connect()


def test_a_pasted_form_is_taken_told_and_answered_without_a_script():
    form = contact(reply_to="accueil@exemple.fr")
    answer = send(form)

    assert answer.status_code == 303
    assert answer["Location"] == f"/f/{form.key}/thanks?language=fr"
    page = Client().get(answer["Location"])
    assert "Votre message nous est bien parvenu" in page.content.decode()
    (one,) = kept()
    assert [value["value"] for value in one.values] == list(RIGHT.values())
    (to_office, told), (to_visitor, reply) = went_out()
    assert (to_office, to_visitor) == ("bureau@exemple.fr", "lea@exemple.org")
    assert told["Subject"] == "Contact\xa0: Léa Marchand"
    assert told["Reply-To"] == "lea@exemple.org"
    assert told["Auto-Submitted"] == "auto-generated"
    assert "un devis ?" in told.get_body(("plain",)).get_content()
    # Without a file there is no word of one; and where answers go, a default sender may have changed.
    assert "En pièce jointe" not in told.as_string()
    assert "répondez" not in told.as_string()
    assert reply["Auto-Submitted"] == "auto-replied"
    assert reply["Reply-To"] == "accueil@exemple.fr"
    assert reply["To"] == "lea@exemple.org"
    # Nobody has their words sent to others through us.
    assert "devis" not in reply.as_string()


def test_the_reply_repeats_what_was_written_where_the_form_says_so():
    send(contact(quotes=True))
    reply = went_out()[1][1]
    assert "un devis ?" in reply.get_body(("plain",)).get_content()


def test_json_is_answered_with_json_and_faults_name_their_fields():
    form = contact()
    answer = send_json(form, RIGHT)
    assert (answer.status_code, answer.json()) == (202, {"state": "taken"})
    answer = send_json(form, {"nom": "Léa", "courriel": "lea@", "message": ["x"]})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["courriel", "message"]
    assert len(kept()) == 1


def test_a_fault_shows_the_form_again_with_what_was_typed():
    form = contact()
    answer = send(form, RIGHT | {"courriel": "lea@exemple.org\r\nBcc: all@example.com", "nom": "<b>x</b>"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert page.count('aria-invalid="true"') == 1
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "<b>x</b>" not in page
    assert went_out() == []


def test_the_same_again_is_the_same_submission():
    form = contact()
    assert [send(form).status_code for _ in range(5)] == [303] * 5
    assert len(kept()) == 1
    assert len(went_out()) == 2


def hidden_input(form):
    """Its attributes, as the form's HTML has it."""
    (found,) = re.findall(r'<input ([^>]*tabindex="-1"[^>]*)>', form_markup.pasted(form, "fr"))
    return found


@pytest.mark.parametrize("pasted_when", ["now", "before"])
def test_whoever_fills_the_hidden_input_is_thanked_and_nothing_is_kept(pasted_when):
    form = contact()
    now = re.search(r'name="([^"]+)"', hidden_input(form))[1]
    answer = send(form, RIGHT | {{"now": now, "before": "website"}[pasted_when]: "https://spam.example"})
    assert answer.status_code == 303
    assert (kept(), went_out()) == ([], [])
    assert send(form, RIGHT | {now: "", "website": ""}).status_code == 303
    assert len(kept()) == 1


def test_no_browser_completes_the_hidden_input():
    """Its name is another one for each form and says nothing: `website` is what browsers know of people."""
    first, second = hidden_input(contact()), hidden_input(contact())
    assert re.search(r'name="_[0-9a-f]{10}"', first)
    assert 'autocomplete="off"' in first
    assert first != second


@pytest.mark.parametrize(("ago", "told"), [(0, "très rapide"), (90_000, "d’un autre jour")])
def test_a_page_sent_at_once_or_the_day_after_comes_back(ago, told):
    form = contact()
    answer = send(form, RIGHT | {"_token": token(form, ago)})
    assert answer.status_code == 422
    assert told in answer.content.decode()
    assert "Bonjour,\nun devis ?" in answer.content.decode()
    assert went_out() == []


def test_a_page_is_good_for_one_submission():
    form = contact()
    page = {"_token": token(form)}
    assert send(form, RIGHT | page).status_code == 303
    answer = send(form, RIGHT | page | {"message": "Autre chose"})
    assert answer.status_code == 422
    assert len(kept()) == 1


def test_a_form_that_wants_a_token_refuses_whoever_has_none():
    form = contact(token_required=True)
    assert send(form).status_code == 422
    assert send(form, RIGHT | {"_token": token(form)}).status_code == 303
    assert send(form, RIGHT | {"_token": token(contact())}).status_code == 422


def test_limits_are_counted_by_address_tighter_without_a_token_and_in_all():
    form = contact(per_address=6, per_hour=7)
    bare = [send(form, RIGHT | {"message": f"n° {n}"}).status_code for n in range(3)]
    assert bare == [303, 303, 429]
    pages = [
        send(form, RIGHT | {"message": f"page {n}", "_token": token(form)}).status_code for n in range(5)
    ]
    assert pages == [303, 303, 303, 303, 429]
    client = Client(REMOTE_ADDR="192.0.2.7")
    assert send(form, RIGHT | {"message": "d’ailleurs"}, client=client).status_code == 303
    answer = send(form, RIGHT | {"message": "trop"}, client=Client(REMOTE_ADDR="192.0.2.8"))
    assert (answer.status_code, answer["Retry-After"]) == (429, "3600")
    assert len(kept()) == 7


def test_one_typed_address_gets_three_replies_a_day():
    form = contact()
    for n in range(5):
        send(form, RIGHT | {"message": f"n° {n}"})
    assert [recipient for recipient, _ in went_out()].count("lea@exemple.org") == 3
    assert [one.unreplied for one in kept()] == ["", "", "", "often", "often"]


@pytest.mark.parametrize(
    "address",
    ["mailer-daemon@exemple.org", "MAILER-DAEMON@exemple.org", "noreply@exemple.org", "no-reply-dmarc@exemple.org",
     "no_reply+7@exemple.org", "postmaster@exemple.org", "owner-liste@exemple.org", "liste-request@exemple.org",
     "bounces+12@exemple.org", "bureau@exemple.fr"],
)  # fmt: skip
def test_no_program_and_no_sender_of_ours_is_replied_to(address):
    send(contact(notify=["accueil@exemple.fr"]), RIGHT | {"courriel": address})
    assert [recipient for recipient, _ in went_out()] == ["accueil@exemple.fr"]
    assert kept()[0].unreplied in {"automatic", "own_address"}


def test_only_the_sites_of_the_form_send_and_read():
    form = contact(origins=["https://www.exemple.fr"])
    allowed, other = {"origin": "https://www.exemple.fr"}, {"origin": "https://ailleurs.example"}
    assert send(form, **other).status_code == 403
    assert send(form, origin="null").status_code == 403
    assert send(form, referer="https://ailleurs.example/page").status_code == 403
    taken = send_json(form, RIGHT, **allowed)
    assert taken.status_code == 202
    assert taken["Access-Control-Allow-Origin"] == "https://www.exemple.fr"
    asked = Client().options(f"/f/{form.key}", headers=allowed)
    assert (asked.status_code, asked["Access-Control-Allow-Headers"]) == (204, "Content-Type")
    refused = Client().options(f"/f/{form.key}", headers=other)
    assert refused.status_code == 403
    assert "Access-Control-Allow-Origin" not in refused
    assert len(kept()) == 1


def test_files_travel_with_the_notification_byte_for_byte():
    from django.core.files.uploadedfile import SimpleUploadedFile

    fields = [*contact().fields, {"name": "plan", "label": "Plan", "kind": "file", "required": True}]
    form = contact(fields=fields)
    assert send(form).status_code == 422
    plan = SimpleUploadedFile("../../plan.pdf", bytes(range(256)) * 40, "application/pdf")
    assert send(form, RIGHT | {"plan": plan}).status_code == 303
    told = went_out()[0][1]
    (attached,) = told.iter_attachments()
    assert attached.get_content() == bytes(range(256)) * 40
    assert attached.get_filename() == "plan.pdf"
    assert len(list(went_out()[1][1].iter_attachments())) == 0


@pytest.mark.parametrize("accept", [PAGE, JSON])
def test_what_is_no_form_is_refused_by_http(accept):
    form = contact()
    large = send(form, RIGHT | {"message": "x" * 300_000}, accept=accept)
    odd = Client().post(f"/f/{form.key}", b"<x/>", content_type="text/xml", headers={"accept": accept})
    many = send(form, {f"x{n}": "1" for n in range(1500)}, accept=accept)
    gone = Client().get("/f/nothinghere", headers={"accept": accept})
    put = Client().put(f"/f/{form.key}", headers={"accept": accept})
    found = [answer.status_code for answer in (large, odd, many, gone, put)]
    assert found == [413, 415, 400, 404, 405]
    assert kept() == []


def test_a_charset_that_is_no_text_is_not_read():
    body = '--x\r\nContent-Disposition: form-data; name="nom"\r\n\r\nLea\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x; charset=base64"
    where = f"/f/{contact().key}"
    answer = Client().generic("POST", where, body, content_type=kind, headers={"accept": PAGE})
    assert answer.status_code == 400


def test_a_content_type_of_parentheses_is_read_like_any_other():
    kind = "application/json; " + "(" * 5_000
    answer = Client().post(f"/f/{contact().key}", b"{}", content_type=kind)
    assert answer.status_code == 422


def test_its_own_page_has_a_token_and_speaks_the_visitors_language():
    form = contact(languages=["fr", "it"], thanks_url="https://www.exemple.fr/merci")
    page = Client().get(f"/f/{form.key}", headers={"accept-language": "it-CH,it;q=0.9,fr;q=0.5"})
    words = page.content.decode()
    assert '<html lang="it">' in words
    assert 'name="_token"' in words
    assert "https://www.exemple.fr" in page["Content-Security-Policy"]
    assert send(form)["Location"] == "https://www.exemple.fr/merci"
