"""A real browser on the product, and what it complains of."""

from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

# The same engine twice; the shell takes a third of the processor, since it has no window to draw.
PROGRAMS = ("/usr/lib/chromium/chromium-headless-shell", "/usr/bin/chromium")
SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 30_000  # milliseconds, on a loaded machine


@contextmanager
def chromium(*switches):
    """The browser, headless."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        program = next(path for path in PROGRAMS if Path(path).exists())
        browser = playwright.chromium.launch(executable_path=program, args=[*SWITCHES, *switches])
        yield browser
        browser.close()


@contextmanager
def window(browser, product, **settings):
    """A page of a new French profile. `page.complaints` is what broke the policy, the script or a request."""
    context = browser.new_context(
        base_url=f"http://127.0.0.1:{product.web_port}",
        locale="fr-FR",
        timezone_id="Europe/Paris",
        **settings,
    )
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda told: _console(page, told))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("requestfailed", lambda request: _request(page, request))
    page.on("response", lambda response: _response(page, response))
    yield page
    context.close()


def _console(page, told):
    # A breach of the Content-Security-Policy is an error on the console.
    if told.type in {"error", "warning"}:
        page.complaints.append(told.text)


def _request(page, request):
    # What was under way when a person left a page did not fail.
    if request.failure != "net::ERR_ABORTED":
        page.complaints.append(f"{request.method} {request.url}: {request.failure}")


def _response(page, response):
    if response.status >= 400:
        page.complaints.append(f"{response.request.method} {response.url}: {response.status}")
