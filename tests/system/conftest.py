"""Parts that several system tests share."""

import pytest

from scripted.sink import SinkServer
from system.product import Product


def pytest_collection_modifyitems(config, items):
    """Soaks run only where `-m` asks for them (`make soak`)."""
    if "slow" in config.getoption("markexpr"):
        return
    soaks = [item for item in items if item.get_closest_marker("slow")]
    config.hook.pytest_deselected(items=soaks)
    items[:] = [item for item in items if item not in soaks]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("pg_ctlcluster"))])
def database(request):
    """Each database in turn."""
    return request.param


@pytest.fixture
def sink():
    """A server without AUTH, in a thread."""
    with SinkServer().in_thread() as server:
        yield server


@pytest.fixture(scope="module")
def shared():
    """A product for the tests of one module; each makes its own connections and removes them."""
    with Product(VAGUEMESTRE_DOUBT_DELAY="3") as product:
        yield product


@pytest.fixture
def product(shared):
    """The module's product, with no connection left from another test."""
    for item in shared.api.get("/connections")["items"]:
        shared.api.ask("DELETE", f"/api/v1/connections/{item['id']}?successor=none").expect(204)
    shared.api.patch("/settings", {"default_mode": "override"})
    return shared
