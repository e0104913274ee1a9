"""Liveness, readiness, gauges: without a key, cheap, without addresses."""

import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from api.client import connection, key_with
from vaguemestre.ledger import sending, storing
from vaguemestre.ledger.database import on_postgresql
from vaguemestre.ledger.models import Courier
from vaguemestre.ledger.sqlite.errors import NOTE_SUFFIX

pytestmark = pytest.mark.django_db


def test_healthz_says_that_the_process_lives(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert Client().get("/healthz").json() == {"status": "ok"}


def test_readyz_says_what_is_missing(client):
    response = client.get("/readyz")
    assert (response.status_code, response.json()["missing"]) == (503, ["courier"])
    beat = Courier.objects.create(holder="x", beat_at=timezone.now())
    assert client.get("/readyz").status_code == 200
    assert client.get("/readyz").json()["status"] == "ready"
    beat.beat_at = timezone.now() - timedelta(seconds=16)
    beat.save()
    assert client.get("/readyz").json()["missing"] == ["courier"]


def test_readyz_tells_the_log_what_is_missing_when_that_changes(client, monkeypatch, caplog):
    monkeypatch.setattr("vaguemestre.doors.api.health._told", [])
    with capture_logs() as told:
        assert [client.get("/readyz").status_code for _ in range(2)] == [503, 503]
        Courier.objects.create(holder="x", beat_at=timezone.now())
        assert client.get("/readyz").status_code == 200
    assert [(line["event"], line.get("missing")) for line in told] == [
        ("not_ready", ["courier"]),
        ("ready_again", None),
    ]
    assert "Service Unavailable" not in caplog.text, "Django tells it once more, in a sentence"


def test_where_sending_is_paused_it_is_ready_and_says_so(client):
    Courier.objects.create(holder="x", beat_at=timezone.now())
    assert client.get("/readyz").json()["sending_paused"] is False
    assert gauges()[1]["vaguemestre_sending_paused",] == 0
    sending.pause("cli:ada", timezone.now())
    response = client.get("/readyz")
    assert (response.status_code, response.json()["status"]) == (200, "ready")
    assert response.json()["sending_paused"] is True
    assert gauges()[1]["vaguemestre_sending_paused",] == 1


def test_readyz_is_cheap(client, django_assert_max_num_queries):
    client.get("/readyz")
    started = time.process_time()
    with django_assert_max_num_queries(3):
        client.get("/readyz")
    assert time.process_time() - started < 0.1


def test_readyz_names_a_migration_that_is_missing(client, monkeypatch):
    from django.db.migrations.recorder import MigrationRecorder

    from vaguemestre.doors.api import health

    monkeypatch.setattr(health, "_migrated", False)
    MigrationRecorder.Migration.objects.filter(app="ledger").latest("id").delete()
    assert client.get("/readyz").json()["missing"] == ["migrations", "courier"]


def test_readyz_says_that_nothing_can_be_stored_and_tries_it_every_five_seconds(client, monkeypatch):
    Courier.objects.create(holder="x", beat_at=timezone.now())
    monkeypatch.setattr(storing, "_recent", None)
    assert client.get("/readyz").json()["storage"] is True
    with read_only():
        assert client.get("/readyz").status_code == 200, "it was tried a moment ago"
        monkeypatch.setattr(storing, "EVERY", 0.0)
        response = client.get("/readyz")
    assert (response.status_code, response.json()["missing"]) == (503, ["storage"])
    assert (response.json()["database"], response.json()["storage_problem"]) == (True, "not_writable")
    response = client.get("/readyz")
    assert (response.status_code, response.json()["storage_problem"]) == (200, None)


@pytest.mark.skipif("database.vendor != 'sqlite'")
def test_readyz_says_that_the_file_is_damaged_whoever_met_it(client, monkeypatch):
    monkeypatch.setattr(storing, "EVERY", 0.0)
    file = Path(database.settings_dict["NAME"])
    note, found = file.with_name(file.name + NOTE_SUFFIX), file.stat()
    note.write_text(f"{found.st_dev} {found.st_ino}")
    try:
        response = client.get("/readyz")
    finally:
        storing.begin_anew()
    assert (response.status_code, response.json()["storage_problem"]) == (503, "damaged")
    assert client.get("/readyz").json()["storage_problem"] is None
    assert not note.exists()


def test_what_cannot_be_stored_is_told_as_what_it_is():
    api = key_with("send")
    with read_only():
        response = api.post("/messages", {"to": ["canary@example.net"], "text": "x"})
    answer = response.json()
    assert response.status_code == 503
    assert answer["code"] == "not_writable"
    assert answer["detail"] == "The database takes no writes; nothing was stored. Try again when it does."


@contextmanager
def read_only():
    """The database takes no writes of this connection."""
    on, off = "PRAGMA query_only = 1", "PRAGMA query_only = 0"
    if on_postgresql():
        on, off = "SET LOCAL transaction_read_only = on", "SELECT 1"  # as it was when the savepoint goes
    with transaction.atomic(), database.cursor() as cursor:
        cursor.execute(on)
        yield
        cursor.execute(off)


def gauges():
    response = Client().get("/metrics")
    assert response["Content-Type"].startswith("text/plain")
    text = response.content.decode()
    return text, {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_gauges_count_what_waits():
    api = key_with("send")
    api.post("/messages", {"to": ["canary@example.net", "b@example.net"], "text": "x"})
    text, found = gauges()
    assert found["vaguemestre_deliveries", "held"] == 2
    assert found["vaguemestre_deliveries", "queued"] == 0
    assert 0 <= found["vaguemestre_oldest_delivery_seconds", "held"] < 60
    assert found["vaguemestre_connections", "ready"] == 0
    connection("Canary Office")
    connection("Asleep", active=False)
    text, found = gauges()
    assert found["vaguemestre_connections", "ready"] == 1
    assert "anary" not in text
    assert "@" not in text


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_only_reading_is_taken(client, path):
    assert client.post(path).status_code == 405
    assert client.head(path).content == b""
