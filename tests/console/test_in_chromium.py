"""The pages in a real browser: by keyboard alone, at 360 px, under the strict policy, in both schemes."""

import re
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from console.conftest import PASSWORD
from console.kit import connect, hand_over
from forms.kit import contact
from scripted.certificates import Authority, Certificate
from scripted.dns import DnsServer
from scripted.sink import SinkServer
from system.chromium import chromium
from vaguemestre.ledger import instance, keys, leases, report_schedule, sending, sightings
from vaguemestre.ledger.models import ApiKey, Connection, Delivery, Event, Message, User, Verification

PAGES = (
    "/connections/", "/connections/new/", "/connections/import/", "/messages/", "/source-addresses/",
    "/source-addresses/edit/", "/communications/", "/communications/new/", "/communications/marketing/",
    "/communications/explain/?stream=support", "/keys/", "/keys/new/", "/templates/", "/templates/new/", "/templates/invoice/fr/",
    "/messages/invoices/", "/forms/", "/forms/new/", "/people/", "/settings/", "/settings/weekly-report/",
    "/sending/", "/accounts/password/change/",
)  # fmt: skip
ENOUGH = 12  # pixels from one to the next
pytestmark = [
    pytest.mark.needs("chromium"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of playwright's own pipes
]


@pytest.fixture(scope="module", name="chromium")
def _chromium(django_db_setup):
    """The browser. Playwright keeps an event loop running in this thread; queries are plain ones all the same."""
    with pytest.MonkeyPatch.context() as patch, chromium() as browser:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield browser


@pytest.fixture
def window(chromium, live_server):
    """A page of a new browser; what it complains of fails the test."""
    cache.clear()  # what throttles logins is counted there
    context = chromium.new_context(
        base_url=live_server.url,
        locale="fr-FR",
        timezone_id="Asia/Tokyo",
        viewport={"width": 1280, "height": 900},
    )
    context.set_default_timeout(10_000)
    window = context.new_page()
    complaints = []
    window.on(
        "console", lambda told: complaints.append(told.text) if told.type in {"error", "warning"} else None
    )
    window.on("pageerror", lambda error: complaints.append(str(error)))
    window.complaints = complaints
    yield window
    context.close()
    assert complaints == []


@pytest.fixture
def signed_in(window, live_server, settings):
    """The same, with Claire signed in and something on every page."""
    client = Client()
    client.force_login(User.objects.create_user("claire@exemple.fr", PASSWORD, language="fr"))
    name = settings.SESSION_COOKIE_NAME
    window.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
    connect("Bureau", is_default=True)
    connect("Serveur Marketing", active=False)
    hand_over("une-adresse-vraiment-tres-longue-sans-aucune-coupure@un-domaine-tres-long.exemple.org")
    keys.create("Boutique", ["send", "read", "connections", "admin"], "user:x", timezone.now())
    window.goto("/connections/")
    return window


def tab_to(window, name, role=None, most=60):
    """Press Tab until the focus is on what has that accessible name."""
    for _press in range(most):
        window.keyboard.press("Tab")
        focused = window.evaluate(
            "(() => { const e = document.activeElement; const label = e.labels?.[0]?.textContent ?? '';"
            "return [e.getAttribute('aria-label') ?? '', label.trim(), e.textContent.trim(), e.type ?? '']; })()"
        )
        if any(name in word for word in focused[:3]) and (role is None or role == focused[3]):
            return
    raise AssertionError(f"{name} is out of reach for the keyboard")


def test_enter_in_a_field_saves_though_other_buttons_stand_before(signed_in):
    signed_in.goto("/connections/new/")
    for name, value in (("name", "Ventes"), ("sender_email", "ventes@exemple.fr"), ("host", "127.0.0.1")):
        signed_in.fill(f"#id_{name}", value)
    signed_in.keyboard.press("Enter")
    expect(signed_in.get_by_text("« Ventes » est enregistrée")).to_be_visible()
    assert Connection.objects.get(name="Ventes").sender_email == "ventes@exemple.fr"
    for address, value in (("/settings/", ""), ("/forms/new/", "save")):
        signed_in.goto(address)
        first = signed_in.locator("main form [type=submit]").first
        assert (first.get_attribute("formaction"), first.get_attribute("value") or "") == (None, value)


def test_the_first_run_and_a_first_connection_by_keyboard_alone(window):
    with SinkServer().in_thread() as server:
        window.goto(f"/setup/{instance.new_setup_token()}/")
        for name, value in (
            ("Votre adresse email", "claire@exemple.fr"), ("Mot de passe", PASSWORD), ("encore une fois", PASSWORD),
        ):  # fmt: skip
            tab_to(window, name)
            window.keyboard.type(value)
        window.keyboard.press("Enter")
        window.wait_for_url("**/connections/")
        tab_to(window, "Créer une connexion")
        window.keyboard.press("Enter")
        window.wait_for_url("**/connections/new/")
        for name, value in (
            ("Nom Connexion", "Bureau"), ("Email Expéditeur", "contact@exemple.fr"), ("Serveur", "127.0.0.1"),
        ):  # fmt: skip
            tab_to(window, name)
            window.keyboard.type(value)
        tab_to(window, "Utiliser comme expéditeur par défaut")
        window.keyboard.press("Space")
        expect(window.get_by_text("Ce que cela change", exact=True)).to_be_visible()
        tab_to(window, "TLS", "radio")
        window.keyboard.press("ArrowRight")
        expect(window.locator("#id_port")).to_have_value("25")
        tab_to(window, "Port")
        window.keyboard.press("Control+a")
        window.keyboard.type(str(server.port))
        tab_to(window, "Vérifier la connexion")
        window.keyboard.press("Enter")
        expect(window.get_by_text("La connexion fonctionne")).to_be_visible()
        expect(window.locator("#verification-result .ladder li")).to_have_count(7)
        window.keyboard.press("Shift+Tab")
        window.keyboard.press("Enter")
    expect(window.get_by_text("« Bureau » est enregistrée, et vérifiée.")).to_be_visible()
    saved = Connection.objects.get()
    assert (saved.port, saved.is_default, saved.encryption) == (server.port, True, "none")


def test_a_person_signs_in(window):
    User.objects.create_user("claire@exemple.fr", PASSWORD, language="fr")
    window.goto("/accounts/login/")
    window.fill("[name=login]", "claire@exemple.fr")
    window.fill("[name=password]", PASSWORD)
    window.get_by_role("button", name="Se connecter").click()
    window.wait_for_url("**/connections/")
    assert window.evaluate("document.documentElement.lang") == "fr"


def test_the_skip_link_comes_first_and_leads_to_the_content(signed_in):
    signed_in.goto("/messages/")
    signed_in.keyboard.press("Tab")
    assert signed_in.evaluate("document.activeElement.className") == "skip"
    box = signed_in.locator(".skip").bounding_box()
    assert box["y"] >= 0

    signed_in.keyboard.press("Enter")
    signed_in.keyboard.press("Tab")

    assert signed_in.evaluate("document.activeElement.closest('main') !== null")


@pytest.mark.parametrize(("language", "widths"), [("fr", (360, 800, 1280)), ("it", (360,))])
def test_no_page_scrolls_sideways(signed_in, language, widths):
    User.objects.update(language=language)
    message, key = Message.objects.get(), ApiKey.objects.get()
    office = Connection.objects.get(name="Bureau")
    for address in (
        *PAGES, f"/messages/{message.uid}/", f"/connections/{office.uid}/", f"/connections/{office.uid}/deactivate/",
        f"/keys/{key.uid}/revoke/", "/findings/", "/findings/certificate_intercepted/",
    ):  # fmt: skip
        signed_in.goto(address)
        for width in widths:
            signed_in.set_viewport_size({"width": width, "height": 780})
            wide = signed_in.evaluate(
                "[...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1"
                " && !e.closest('.visually-hidden')).map(e => e.outerHTML.slice(0, 90))"
            )
            assert wide == [], (address, width)
            assert signed_in.evaluate("document.documentElement.scrollWidth") <= width, (address, width)


def test_the_menu_of_a_narrow_screen_opens_and_closes_by_keyboard(signed_in):
    signed_in.set_viewport_size({"width": 360, "height": 780})
    link = signed_in.get_by_role("link", name="Messages", exact=True)
    expect(link).to_be_hidden()

    tab_to(signed_in, "Menu")
    signed_in.keyboard.press("Enter")
    expect(link).to_be_visible()
    signed_in.keyboard.press("Escape")
    expect(link).to_be_hidden()


def test_the_switch_replaces_the_list_and_keeps_the_focus(signed_in):
    signed_in.evaluate("window.untouched = true")
    switch = signed_in.get_by_role("switch", name="Serveur Marketing")
    switch.focus()

    signed_in.keyboard.press("Space")

    expect(switch).to_have_attribute("aria-checked", "true")
    expect(switch).to_be_focused()
    assert signed_in.evaluate("window.untouched"), "the page was not loaded anew"
    assert Connection.objects.get(name="Serveur Marketing").active


def test_what_is_not_answered_is_told_where_it_is_seen_until_an_answer_comes(signed_in):
    switch, told = signed_in.get_by_role("switch", name="Serveur Marketing"), signed_in.get_by_role("alert")
    signed_in.context.set_offline(True)
    switch.click()
    expect(told).to_contain_text("Vaguemestre ne répond pas")
    signed_in.context.set_offline(False)

    cookies = signed_in.context.cookies()
    signed_in.context.clear_cookies(name="csrftoken")
    switch.click()
    expect(told).to_contain_text("Rien n’a été modifié : veuillez réessayer")
    expect(switch).to_have_count(1)  # and no page of an error in the list's place

    signed_in.context.add_cookies(cookies)
    switch.click()
    expect(told).to_have_count(0)
    expect(switch).to_have_attribute("aria-checked", "true")
    assert len(signed_in.complaints) == 3  # of the browser: offline twice, 403
    signed_in.complaints.clear()


def test_a_default_is_previewed_made_and_undone_with_one_click(signed_in):
    Connection.objects.update(active=True, is_default=False)
    Delivery.objects.update(route={"sender": None, "reply_to": None, "reverse_path": None})
    signed_in.goto("/connections/")

    # The question which one serves the rest leads to what each choice would change.
    signed_in.get_by_role("link", name="Serveur Marketing").first.click()
    expect(signed_in.get_by_text("Avec un autre From ou Reply-To : 1.")).to_be_visible()
    expect(
        signed_in.get_by_text("n’a pas pu être interrogé").or_(
            signed_in.get_by_text("SPF et DMARC du domaine")
        )
    ).to_be_visible()
    assert not Connection.objects.filter(is_default=True).exists()
    signed_in.get_by_role("button", name="En faire l’expéditeur par défaut").click()
    expect(signed_in.get_by_text("Tous les emails partent de Serveur Marketing")).to_be_visible()

    # The box of another one tells it as soon as it is ticked, and forgets it when it is not.
    signed_in.goto(f"/connections/{Connection.objects.get(name='Bureau').uid}/")
    signed_in.get_by_label("Utiliser comme expéditeur par défaut").check()
    expect(signed_in.get_by_text("Chaque message part alors de bureau@exemple.fr")).to_be_visible()
    expect(
        signed_in.get_by_text("« Serveur Marketing » ne sera plus l’expéditeur par défaut")
    ).to_be_visible()
    signed_in.get_by_role("button", name="Enregistrer").click()
    expect(signed_in.get_by_text("Tous les emails partent de Bureau")).to_be_visible()

    signed_in.get_by_role("button", name="Annuler ce changement").click()
    expect(
        signed_in.get_by_text("« Serveur Marketing » est de nouveau l’expéditeur par défaut.")
    ).to_be_visible()
    assert Connection.objects.get(is_default=True).name == "Serveur Marketing"


def test_switching_the_default_off_asks_for_the_successor(signed_in):
    signed_in.get_by_role("switch", name="Bureau").click()

    expect(signed_in.get_by_role("heading", name="Qui devient l’expéditeur par défaut")).to_be_visible()
    assert Connection.objects.get(name="Bureau").active


def test_the_port_follows_the_encryption_unless_it_was_chosen(signed_in):
    signed_in.goto("/connections/new/")
    port = signed_in.locator("#id_port")
    for choice, number in (("SSL", "465"), ("TLS", "587"), ("Aucun", "25")):
        signed_in.get_by_text(choice, exact=True).click()
        expect(port).to_have_value(number)

    port.fill("2525")
    signed_in.get_by_text("SSL", exact=True).click()

    expect(port).to_have_value("2525")


def test_a_moved_server_says_at_once_that_the_password_is_needed_again(signed_in):
    saved = connect("Support", login="aide", password="s3cr3t-s3cr3t")
    signed_in.goto(f"/connections/{saved.uid}/")
    hint = signed_in.get_by_text("Le mot de passe enregistré ne valait que pour")
    expect(hint).to_be_hidden()

    signed_in.locator("#id_host").fill("autre.exemple.fr")
    expect(hint).to_be_visible()
    signed_in.locator("#id_host").fill(saved.host)
    expect(hint).to_be_hidden()


def test_a_double_click_posts_once(signed_in):
    def press_twice(selector, pause):
        signed_in.evaluate(
            f"(() => {{ const b = document.querySelector({selector!r}); b.click(); "
            f"setTimeout(() => b.click(), {pause}); }})()"
        )

    for pause in (0, 20):
        signed_in.goto("/connections/new/")
        for field, value in (
            ("name", f"Vite {pause}"), ("host", "smtp.exemple.fr"), ("sender_email", "x@exemple.fr"),
        ):  # fmt: skip
            signed_in.fill(f"#id_{field}", value)
        press_twice("#connection button.first", pause)
        expect(signed_in.get_by_text(f"« Vite {pause} » est enregistrée.")).to_be_visible()

        before = Message.objects.count()
        Delivery.objects.update(state="accepted", settled_at=timezone.now(), next_attempt_at=None)
        signed_in.goto(f"/messages/{Message.objects.first().uid}/")
        press_twice("form[action$='/resend/'] button", pause)
        expect(signed_in.get_by_text("Un nouveau message, de même contenu, est en route.")).to_be_visible()
        assert Message.objects.count() == before + 1


def test_a_verification_of_faulty_values_marks_the_fields_and_keeps_the_password(signed_in):
    signed_in.goto("/connections/new/")
    signed_in.locator("#id_password").fill("gardé")
    signed_in.locator("#id_host").fill("smtp://x")

    signed_in.get_by_role("button", name="Vérifier la connexion").click()

    expect(signed_in.get_by_text("Donnez seulement le nom du serveur")).to_be_visible()
    expect(signed_in.locator("#id_sender_email")).to_have_attribute("aria-invalid", "true")
    expect(signed_in.locator("#id_sender_email")).to_be_focused()
    expect(signed_in.locator("#id_password")).to_have_value("gardé")
    assert [told for told in signed_in.complaints if "422" not in told] == []
    signed_in.complaints.clear()


def test_times_are_shown_in_the_readers_zone(signed_in):
    message = Message.objects.get()
    at = timezone.datetime(2026, 1, 1, 20, 30, tzinfo=timezone.UTC)
    Message.objects.filter(pk=message.pk).update(accepted_at=at)

    signed_in.goto(f"/messages/{message.uid}/")

    expect(signed_in.locator(".page-head time")).to_have_text("vendredi 2 janvier 2026 à 05:30")


def test_times_stay_in_the_readers_zone_when_the_list_is_replaced(signed_in):
    office = Connection.objects.get(name="Bureau")
    Verification.objects.create(
        fingerprint=office.fingerprint, connection=office, at=timezone.now() - timedelta(hours=2), ok=True,
        steps=[], findings=[],
    )  # fmt: skip
    signed_in.goto("/connections/")
    when = signed_in.locator(".connections time")
    expect(when).to_have_text("il y a 2 h")

    switch = signed_in.get_by_role("switch", name="Serveur Marketing")
    switch.click()

    expect(switch).to_have_attribute("aria-checked", "true")
    expect(when).to_have_text("il y a 2 h")


def test_the_page_of_a_message_under_way_follows_it_and_then_rests(signed_in):
    asked = []
    signed_in.on("request", lambda request: asked.append(request.url))
    message = Message.objects.get()
    signed_in.goto(f"/messages/{message.uid}/")
    badge, outlook = signed_in.locator(".page-head .badge"), signed_in.locator(".outlook")
    expect(badge).to_have_text("en file")
    expect(outlook).to_have_text(re.compile("Aucun coursier ne tourne"))

    leases.take("a-test's-courier", timezone.now())
    expect(outlook).to_have_text("Il part maintenant.", timeout=12_000)

    Delivery.objects.update(state="accepted", settled_at=timezone.now(), next_attempt_at=None)

    expect(badge).to_have_text("accepté par le serveur")  # it moved, and was looked at more often
    expect(outlook).to_have_text(re.compile(r"Accepté par le serveur aujourd’hui à \d\d:\d\d \(.+\)\."))
    expect(signed_in.locator(".page-head time")).not_to_contain_text("UTC")
    asked.clear()
    signed_in.wait_for_timeout(3500)
    assert asked == []


def test_when_it_leaves_is_told_in_the_readers_zone_and_as_it_passes(signed_in):
    leases.take("a-test's-courier", timezone.now())
    message = Message.objects.get()
    tokyo = timezone.get_fixed_timezone(9 * 60)
    noon = timezone.now().astimezone(tokyo).replace(hour=12, minute=5, second=0, microsecond=0)
    for days, told in ((1, r"demain à 12:05 \(.+\)"), (3, r"[a-z]+ \d+ \S+ \d{4} à 12:05 \(dans [23]\sj\)")):
        Delivery.objects.update(next_attempt_at=noon + timedelta(days=days))
        signed_in.goto(f"/messages/{message.uid}/")
        expect(signed_in.locator(".outlook")).to_have_text(re.compile(f"^Départ {told}, comme demandé\\.$"))
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(seconds=40))
    signed_in.goto(f"/messages/{message.uid}/")
    expect(signed_in.locator(".outlook")).to_have_text(re.compile(r"\(dans \d\d\ss\)"))


def test_what_a_connection_does_stays_up_to_date_beside_what_is_typed(signed_in):
    office = Connection.objects.get(name="Bureau")
    signed_in.goto(f"/connections/{office.uid}/")
    lane = signed_in.locator("#lane")
    expect(lane.locator(".note")).to_contain_text("Aucun coursier ne tourne")
    expect(lane.locator(".gauges")).to_contain_text("À envoyer1")
    signed_in.fill("#id_sender_name", "Atelier")

    leases.take("a-test's-courier", timezone.now())
    until = timezone.now() + timedelta(minutes=4)
    Connection.objects.filter(pk=office.pk).update(
        health="throttled", health_until=until, health_since=timezone.now(), health_why="limit_reached",
        health_text="454 4.7.0 <b>slow</b> down",
    )  # fmt: skip

    expect(lane.locator(".note.wary")).to_contain_text("sera réessayée aujourd’hui", timeout=8000)
    expect(lane.locator("code")).to_have_text("454 4.7.0 <b>slow</b> down")
    expect(lane.locator("time").first).not_to_contain_text("UTC")
    expect(signed_in.locator("#id_sender_name")).to_have_value("Atelier")


def test_d10_a_doubt_is_answered_once_however_often_the_button_is_pressed(signed_in):
    message = Message.objects.get()
    Delivery.objects.update(
        state="in_doubt", attempt=message.uid, doubts=1, doubt_reason="timeout", next_attempt_at=None
    )
    signed_in.goto(f"/messages/{message.uid}/")
    expect(signed_in.locator(".outlook")).to_contain_text("à vous de décider")
    other = signed_in.context.new_page()
    other.goto(f"/messages/{message.uid}/")
    signed_in.get_by_role("button", name="Renvoyer").dblclick()
    expect(signed_in.get_by_text("Il est renvoyé.")).to_be_visible()
    assert Event.objects.filter(detail__code="send_again").count() == 1

    other.get_by_role("button", name="Renvoyer").click()  # a page of before

    expect(other.get_by_role("alert")).to_contain_text("Plus rien n’est incertain")
    assert Event.objects.filter(detail__code="send_again").count() == 1


def test_the_search_answers_while_typing(signed_in):
    hand_over("paul@exemple.org", subject="Rappel de rendez-vous")
    signed_in.goto("/messages/")
    expect(signed_in.locator("#results tbody tr")).to_have_count(2)

    signed_in.locator("#search").press_sequentially("rappel")

    expect(signed_in.locator("#results tbody tr")).to_have_count(1)
    signed_in.get_by_role("link", name="Rappel de rendez-vous").click()
    signed_in.wait_for_url("**/messages/*-*/")
    signed_in.go_back()
    expect(signed_in.locator("#search")).to_have_value("rappel")
    expect(signed_in.locator("#results tbody tr")).to_have_count(1)
    signed_in.get_by_role("link", name="En file").click()
    expect(signed_in).to_have_url(re.compile(r"state=queued&q=rappel"))
    expect(signed_in.locator("#results tbody tr")).to_have_count(1)


def test_lines_are_added_to_the_whitelist_and_taken_away(signed_in):
    signed_in.goto("/source-addresses/edit/")
    rows = signed_in.locator("#address-rows .address-row")
    expect(rows).to_have_count(3)
    signed_in.get_by_role("button", name="Une ligne de plus").click()
    expect(rows).to_have_count(4)
    signed_in.keyboard.type("198.51.100.10")
    signed_in.get_by_role("button", name="Retirer l’adresse 1").click()
    expect(rows).to_have_count(3)

    signed_in.get_by_role("button", name="Enregistrer").click()

    expect(signed_in.get_by_text("1 adresse à autoriser")).to_be_visible()


def test_the_list_is_copied(signed_in):
    signed_in.context.grant_permissions(["clipboard-read", "clipboard-write"])
    signed_in.goto("/keys/new/")
    signed_in.fill("#id_name", "Site")
    signed_in.get_by_role("button", name="Créer la clé").click()

    signed_in.get_by_role("button", name="Copier").click()

    expect(signed_in.get_by_text("Copié", exact=True)).to_be_visible()
    copied = signed_in.evaluate("navigator.clipboard.readText()")
    assert keys.authenticate(copied, timezone.now()).name == "Site"


def test_i11_nothing_of_a_message_runs(signed_in):
    nasty = "<img src=x onerror=document.title='pwned'><script>document.title='pwned'</script>"
    message = hand_over(subject=nasty, body=nasty)
    Delivery.objects.filter(message=message).update(last_code=550, last_text=nasty)

    for address in ("/messages/", f"/messages/{message.uid}/"):
        signed_in.goto(address)
        signed_in.wait_for_timeout(150)
        assert "pwned" not in signed_in.title().removeprefix(nasty)
        assert signed_in.locator("img[src=x]").count() == 0


@pytest.fixture(scope="session")
def axe(tmp_path_factory):
    """The source of axe-core, out of the package registry; where that is out of reach the tests are skipped."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip("npm is not installed")
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "axe-core"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=folder)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("axe-core cannot be installed")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


# What a scheme changes is colours.
SCHEMES = {
    "light": "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']",
    "dark": "{type: 'rule', values: ['color-contrast', 'link-in-text-block']}",
}


def test_axe_finds_nothing_in_either_scheme(signed_in, axe):
    message, office, form = Message.objects.get(), Connection.objects.get(name="Bureau"), contact()
    Connection.objects.filter(pk=office.pk).update(
        health="locked", health_why="sign_in_refused", health_text="535"
    )
    sending.pause("user:claire@exemple.fr", timezone.now())
    for address in (
        *PAGES, f"/messages/{message.uid}/", f"/connections/{office.uid}/", f"/connections/{office.uid}/delete/",
        "/sending/cancel/",
        "/findings/", "/findings/refused/", f"/connections/{office.uid}/oauth2/",
        f"/connections/{office.uid}/oauth2/microsoft-app/", f"/connections/{office.uid}/oauth2/google-service-account/",
        f"/f/{form.key}", f"/f/{form.key}/thanks", f"/forms/{form.key}/markup/", f"/forms/{form.key}/submissions/",
    ):  # fmt: skip
        signed_in.goto(address)
        signed_in.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        signed_in.evaluate(axe)
        for scheme, rules in SCHEMES.items():
            signed_in.emulate_media(color_scheme=scheme)
            found = signed_in.evaluate(
                f"axe.run({{runOnly: {rules}, resultTypes: ['violations'], iframes: false}})"
                ".then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html).join(' | ').slice(0, 400)))"
            )
            assert found == [], (address, scheme)


def test_a_chosen_provider_fills_the_form_and_an_address_proposes_one(signed_in, settings):
    with DnsServer({("exemple.fr", "MX"): ["10 aspmx.l.google.com."]}) as dns:
        settings.ENVIRONMENT = replace(settings.ENVIRONMENT, resolvers=((dns.address, dns.port),))
        signed_in.goto("/connections/new/")
        signed_in.fill("#id_sender_email", "lea@exemple.org")
        signed_in.get_by_role("button", name="Le trouver").click()
        expect(signed_in.get_by_text("Rien de connu pour cette adresse")).to_be_visible()
        signed_in.select_option("#id_provider", "microsoft365")
        expect(signed_in.locator("#id_host")).to_have_value("smtp.office365.com")
        expect(signed_in.locator("#id_port")).to_have_value("587")
        expect(signed_in.locator("#id_per_minute")).to_be_visible()
        expect(signed_in.locator("#id_per_minute")).to_have_value("30")
        expect(signed_in.get_by_role("radio", name="OAuth2")).to_be_checked()
        signed_in.fill("#id_sender_email", "lea@exemple.fr")
        signed_in.keyboard.press("Tab")
        expect(signed_in.get_by_text("reçus par Gmail, Google Workspace")).to_be_visible()
        signed_in.get_by_role("button", name="Prendre ces réglages").click()
    expect(signed_in.locator("#id_host")).to_have_value("smtp.gmail.com")
    expect(signed_in.get_by_role("radio", name="SSL")).to_be_checked()
    expect(signed_in.locator("#id_port")).to_have_value("465")
    expect(signed_in.locator("#id_login")).to_have_value("lea@exemple.fr")
    expect(signed_in.get_by_role("radio", name="Login et mot de passe")).to_be_checked()
    expect(signed_in.locator("#provider-password")).to_contain_text("mot de passe d’application")
    signed_in.get_by_text("TLS", exact=True).click()
    expect(signed_in.locator("#id_port")).to_have_value("587")


def test_an_untrusted_certificate_is_shown_on_a_narrow_screen_and_trusted_by_one_click(signed_in):
    authority = Authority()
    leaf = authority.certificate("localhost")
    chain = Certificate(leaf.pem + authority.pem, leaf.key)
    signed_in.set_viewport_size({"width": 360, "height": 780})
    with SinkServer(encryption="starttls", certificate=chain).in_thread() as sink:
        signed_in.goto("/connections/new/")
        values = {"sender_email": "a@exemple.fr", "host": "localhost", "port": str(sink.port)}
        for name, value in values.items():
            signed_in.fill(f"#id_{name}", value)
        signed_in.click("#verify")
        signed_in.get_by_role("button", name="Se fier à son autorité").click()
        assert "BEGIN CERTIFICATE" in signed_in.input_value("#id_pinned_certificate")
        assert signed_in.evaluate("document.activeElement.id") == "id_pinned_certificate"
        assert signed_in.evaluate("document.documentElement.scrollWidth") <= 360
        signed_in.check("#ask-recipient")
        signed_in.click("#verify")
        signed_in.get_by_text("La connexion fonctionne").wait_for()
    assert b"RCPT TO:<claire@exemple.fr>" in sink.heard


def test_a_test_message_is_followed_where_it_was_asked_for(signed_in):
    office = Connection.objects.get(name="Bureau")
    signed_in.goto(f"/connections/{office.uid}/")
    signed_in.get_by_role("button", name="M’envoyer un message d’essai").dblclick()
    signed_in.get_by_text("en file").wait_for()
    signed_in.wait_for_timeout(300)
    mine = Delivery.objects.filter(recipient="claire@exemple.fr")
    assert mine.count() == 1
    mine.update(state="accepted", settled_at=timezone.now(), next_attempt_at=None)
    signed_in.locator("#trial").get_by_text("accepté par le serveur").first.wait_for()
    assert signed_in.locator("#trial [hx-get], #trial[hx-get]").count() == 0


def test_a_template_is_mended_at_its_line_seen_in_its_frame_and_saved(signed_in):
    signed_in.goto("/templates/invoice/fr/")
    signed_in.get_by_label("HTML", exact=True).fill("<p>Bonjour\n{{ nom }}</p>")
    signed_in.get_by_role("button", name="Aperçu").click()
    expect(signed_in.locator("#html-error")).to_contain_text(
        "La ligne 2 utilise nom, qui manque dans les données."
    )
    signed_in.complaints.clear()  # a browser notes the 422

    signed_in.get_by_label("HTML", exact=True).fill("<p class='soft'>Bonjour\n{{ name }}</p>")
    signed_in.get_by_role("button", name="Aperçu").click()
    shown = signed_in.frame_locator("iframe.mail").locator("p.soft")
    expect(shown).to_have_text("Bonjour Camille Martin")
    expect(shown).to_have_css("font-size", "14px")

    signed_in.get_by_role("button", name="Enregistrer").click()
    expect(signed_in.locator(".lead")).to_contain_text("le vôtre, version 1")


def test_the_weekly_report_is_scheduled_and_a_wrong_zone_is_told_at_its_field(signed_in):
    signed_in.goto("/settings/weekly-report/")
    signed_in.get_by_label("L’envoyer chaque semaine").check()
    signed_in.get_by_label("Destinataires").fill("claire@exemple.fr\nlea@exemple.fr")
    signed_in.get_by_label("Jour").select_option(label="Vendredi")
    signed_in.get_by_label("Heure").select_option(label="17:00")
    signed_in.get_by_label("Fuseau horaire").fill("Montréal")
    signed_in.get_by_role("button", name="Enregistrer").click()
    expect(signed_in.locator("#id_zone_error")).to_contain_text("Europe/Paris")
    expect(signed_in.get_by_label("Destinataires")).to_have_value("claire@exemple.fr\nlea@exemple.fr")
    signed_in.complaints.clear()  # a browser notes the 422

    signed_in.get_by_label("Fuseau horaire").fill("America/Montreal")
    signed_in.get_by_role("button", name="Enregistrer").click()
    expect(signed_in.get_by_text("Le rapport hebdomadaire est enregistré.")).to_be_visible()
    expect(signed_in.get_by_text("Prochain :")).to_be_visible()
    row = report_schedule.find()
    assert (row.active, row.weekday, row.hour, row.zone) == (True, 4, 17, "America/Montreal")
    assert row.recipients == ["claire@exemple.fr", "lea@exemple.fr"]


def test_another_meaning_of_the_default_is_told_as_soon_as_it_is_chosen(signed_in):
    signed_in.goto("/settings/")
    signed_in.get_by_label("Il sert quand rien d’autre ne convient").check()
    expect(signed_in.locator("#mode-preview")).to_contain_text("Messages des 30 derniers jours")
    signed_in.get_by_label("Il passe avant tout").check()
    expect(signed_in.locator("#mode-preview")).to_have_text("")
    assert instance.settings()["default_mode"] == "override"


@pytest.mark.parametrize("width", [1280, 360])
def test_neighbours_on_a_page_do_not_touch(signed_in, width):
    signed_in.set_viewport_size({"width": width, "height": 900})
    sightings.note(Connection.objects.get(name="Bureau").pk, "203.0.113.7", timezone.now())
    signed_in.goto("/settings/")
    assert apart(signed_in, ".choices", "[data-without-script]") >= ENOUGH
    assert apart(signed_in, "[data-without-script]", "#renewal") >= ENOUGH
    signed_in.goto("/source-addresses/")
    assert apart(signed_in, ".empty", ".empty + .card") >= ENOUGH


def apart(window, above, below):
    """The pixels between the lower edge of one and the upper one of the other."""
    upper, lower = (window.locator(one).first.bounding_box() for one in (above, below))
    return lower["y"] - upper["y"] - upper["height"]
