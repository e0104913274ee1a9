"""A project of Django in one file, as plain as can be.

    python -m bench.peers.django_project serve PORT
    python -m bench.peers.django_project bulk BATCHES

Its database, in the current folder, is SQLite by Django's own backend and keeps what it commits as ours
does. The view inserts a row for a message that is posted, and is served with the settings of our own web
process; there is no middleware, no sign-in, and nothing is checked. `bulk` inserts batches of 1,000 rows, a
transaction each, from values that were read beforehand, and prints the seconds that it took.
"""

import json
import multiprocessing
import sys
import time

import django
from django.conf import settings
from django.db import connection, models, transaction
from django.http import JsonResponse
from django.urls import path
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from bench.letters import posted
from bench.posting import BATCH
from vaguemestre.cli import web

SETTINGS = {
    "ALLOWED_HOSTS": ["*"],
    "CONN_MAX_AGE": None,
    "DATABASES": {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "letters.sqlite3",
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "timeout": 20,
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
            },
        }
    },
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    "MIDDLEWARE": [],
    "ROOT_URLCONF": __name__,
    "SECRET_KEY": "nothing is signed",
    "USE_TZ": True,
}
settings.configure(**SETTINGS)
django.setup()


class Letter(models.Model):
    """A message."""

    recipient = models.CharField(max_length=254)
    subject = models.CharField(max_length=998)
    text = models.TextField()
    html = models.TextField()
    accepted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bench"


def accept(request):
    """The view."""
    letter = Letter.objects.create(**_columns(json.loads(request.body)))
    return JsonResponse({"id": letter.pk, "state": "queued"}, status=202)


urlpatterns = [path("api/v1/messages", accept)]


def _columns(values):
    return {
        "recipient": values["to"][0],
        "subject": values["subject"],
        "text": values["text"],
        "html": values["html"],
    }


def serve(port):
    """Until SIGTERM."""
    multiprocessing.set_start_method("fork")
    Granian(
        "unused",
        address="127.0.0.1",
        port=port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        websockets=False,
        blocking_threads=web.THREADS,
        blocking_threads_idle_timeout=web.IDLE,
        backpressure=web.BACKPRESSURE,
        log_level=LogLevels.error,
        log_dictconfig=web.LOGGING,
    ).serve(target_loader=lambda _: application())


def application():
    """In the worker."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415  once there are settings

    return get_wsgi_application()


def bulk(batches):
    """Seconds for so many batches."""
    values = [
        [_columns(json.loads(posted(batch * BATCH + number))) for number in range(BATCH)]
        for batch in range(batches)
    ]
    started = time.perf_counter()
    for batch in values:
        with transaction.atomic():
            Letter.objects.bulk_create([Letter(**columns) for columns in batch])
    return time.perf_counter() - started


def _make_table():
    with connection.schema_editor() as editor:
        editor.create_model(Letter)
    with connection.cursor() as cursor:
        if cursor.execute("PRAGMA synchronous").fetchone() != (2,):
            raise RuntimeError("the database does not keep what it commits")
    connection.close()  # none may be shared with a process that is forked


def main():
    _make_table()
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        print(bulk(int(sys.argv[2])))


if __name__ == "__main__":
    main()
