"""One default, always: a hundred at once through the API (L1, I12). `ledger.test_one_default` has each database."""

import threading

import pytest
from django.db import connection as database

from api.client import Api, connection, key_with
from vaguemestre.ledger.models import Connection

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.any_database]
CHANGES, WRITERS, READERS = 100, 10, 2


def in_threads(*works):
    """Run the functions at once; the first failure is raised."""
    failures = []

    def run(work):
        try:
            work()
        except BaseException as failure:  # noqa: BLE001  carried to the test
            failures.append(failure)
        finally:
            database.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_i12_a_hundred_concurrent_make_default_leave_one_at_every_read():
    uids = [str(connection(f"C{number}").uid) for number in range(10)]
    key = key_with("connections").key
    Api(key).patch(f"/connections/{uids[0]}", {"is_default": True})
    barrier, done, seen, demoted = threading.Barrier(WRITERS + READERS), threading.Event(), [], []
    left = threading.Semaphore(0)

    def write(number):
        api = Api(key)
        barrier.wait()
        for turn in range(CHANGES // WRITERS):
            response = api.patch(f"/connections/{uids[(number + turn) % 10]}", {"is_default": True})
            assert response.status_code == 200
            demoted.append(len(response.json()["demoted"]))
        left.release()

    def read():
        api = Api(key)
        barrier.wait()
        while not done.is_set():
            items = api.get("/connections").json()["items"]
            seen.append([item["is_default"] for item in items].count(True))
            assert all(item["active"] for item in items)

    def end():
        for _ in range(WRITERS):
            left.acquire(timeout=60)
        done.set()

    in_threads(*[lambda n=number: write(n) for number in range(WRITERS)], *[read] * READERS, end)
    assert set(seen) == {1}
    assert len(seen) > 3
    assert set(demoted) <= {0, 1}
    assert Connection.objects.filter(is_default=True).count() == 1


def test_i12_deleting_and_naming_defaults_at_once_never_leaves_two():
    uids = [str(connection(f"C{number}").uid) for number in range(8)]
    key = key_with("connections").key
    Api(key).patch(f"/connections/{uids[0]}", {"is_default": True})

    def promote(uid):
        assert Api(key).patch(f"/connections/{uid}", {"is_default": True}).status_code in {200, 404}
        assert Connection.objects.filter(is_default=True).count() <= 1

    def remove(uid):
        assert Api(key).delete(f"/connections/{uid}", query={"successor": "none"}).status_code in {204, 404}
        assert Connection.objects.filter(is_default=True).count() <= 1

    in_threads(*[lambda u=uid: promote(u) for uid in uids], *[lambda u=uid: remove(u) for uid in uids[:4]])
    assert Connection.objects.filter(is_default=True).count() <= 1
    assert Connection.objects.filter(is_default=True, active=False).count() == 0
