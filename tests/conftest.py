"""What every test may use."""

import gc
import os
import shutil
import sys
from pathlib import Path

import pytest
import structlog
from hypothesis import settings

# Two cores run other tests beside: an example that takes long is no fault. What must be quick says so itself.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
# Rich comes with the tests' packages, and structlog would have it draw each traceback with every local value.
structlog.dev.ConsoleRenderer.get_active().exception_formatter = structlog.dev.plain_traceback
sys.path.append(str(Path(__file__).parents[1] / "tools"))
ALTERNATIVES = {"chromium": ("chromium-headless-shell", "chromium")}
# What begins: files whose one long test keeps a worker to itself, then those with processes and browsers. Short
# ones fill the end.
LONG = (
    "tests/courier/test_random_run", "tests/system/test_killing_the_courier", "tests/system/test_draining",
    "tests/console/test_in_chromium", "tests/system/", "tests/cli/", "tests/console/", "tests/courier/",
    "tests/ledger/", "tests/smtp/",
)  # fmt: skip


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection():
    """What is collected stays: to look through it for garbage again and again takes 4 s of each worker."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)  # behind the one that puts them in random order
def pytest_collection_modifyitems(config, items):
    """Leave out what another run shows, skip what cannot run, and begin with what takes long."""
    if os.environ.get("VAGUEMESTRE_TEST_DATABASE") == "postgresql":
        _leave_out(config, items, "any_database")
    for item in items:
        _skip_without_programs(item)
    items.sort(key=_place)


def _place(item):
    return next((place for place, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG))


def _leave_out(config, items, marker):
    """What does not depend on the database runs on SQLite."""
    config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker(marker)])
    items[:] = [item for item in items if not item.get_closest_marker(marker)]


def _skip_without_programs(item):
    """A test that needs a program is skipped without it, unless VAGUEMESTRE_TEST_REQUIRE=all."""
    if os.environ.get("VAGUEMESTRE_TEST_REQUIRE") == "all":
        return
    for mark in item.iter_markers("needs"):
        missing = [name for name in mark.args if not any(map(_is_there, ALTERNATIVES.get(name, (name,))))]
        if missing:
            item.add_marker(pytest.mark.skip(reason=f"not installed: {', '.join(missing)}"))


def _is_there(name):
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    return shutil.which(name, path=path) is not None


@pytest.fixture(scope="session", autouse=True)
def _compiled():
    """What readers see comes out of the compiled catalogues, which may be older than what was pulled since."""
    from compile_messages import compile_catalogues

    compile_catalogues()


@pytest.fixture(scope="session", autouse=True)
def _static_files():
    """They are listed once. Each of Django's clients makes its own middleware, which would list them all again."""
    from whitenoise.middleware import WhiteNoiseMiddleware

    listing, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def listed(middleware):
        if not found:
            listing(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", listed)
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment, django_db_blocker):
    """In place of pytest-django's, which migrates a database for each worker."""
    from cluster.suite import copied

    with django_db_blocker.unblock(), copied():
        yield


@pytest.fixture
def _django_db_helper(request, django_db_setup, django_db_blocker):
    """pytest-django's, but behind a test with real commits only its rows go.

    What it does instead makes all permissions again and truncates every table: up to 200 ms a test.
    """
    marker = request.node.get_closest_marker("django_db")
    real = {"transactional_db", "live_server"} & set(request.fixturenames)
    if not real and not (marker and marker.kwargs.get("transaction")):
        request.getfixturevalue("_django_db_helper")
        yield
        return
    from cluster.suite import restore

    with django_db_blocker.unblock():
        yield
        restore()


@pytest.fixture(autouse=True)
def _nothing_read(request):
    """Nothing is kept of what another test read."""
    uses = {"db", "transactional_db", "live_server"} & set(request.fixturenames)
    if not uses and request.node.get_closest_marker("django_db") is None:
        return
    request.getfixturevalue("_django_db_helper")
    from vaguemestre.ledger import explanations, handovers, routing

    routing.forget()
    explanations.forget()
    handovers.forget_all()
