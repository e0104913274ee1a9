"""Whether anything is sent at all: asked, paused and resumed over HTTP."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from vaguemestre.doors.api.auth import actor
from vaguemestre.doors.api.body import posted
from vaguemestre.doors.api.endpoint import Answer, endpoint
from vaguemestre.doors.api.typed import flag, known_only, needed
from vaguemestre.ledger import sending
from vaguemestre.ledger.resources import sending_resource

router = Router(tags=["Sending"])


@endpoint(router.get, "/sending", "getSending", scopes=("read", "admin"), gives="Sending")
def get_sending(_request: HttpRequest) -> Answer:
    """Whether mail is sent, and if not, why."""
    return Answer(sending_resource(sending.paused()))


@endpoint(router.post, "/sending/pause", "pauseSending", scopes=("admin",), gives="Sending")
def pause(request: HttpRequest) -> Answer:
    """Accept everything and send nothing; 409 where it is paused already."""
    return Answer(sending_resource(sending.pause_by_hand(actor(request), timezone.now())))


# What waits is cancelled in many short transactions, which an `Idempotency-Key` would make one; asked for
# again, it is a 409.
@endpoint(
    router.post,
    "/sending/resume",
    "resumeSending",
    scopes=("admin",),
    takes="Resumption",
    gives="SendingResumed",
    repeatable=False,
)
def resume(request: HttpRequest) -> Answer:
    """Send again, or first cancel what waited when the pause began; 409 where it is not paused."""
    values = posted(request)
    known_only(values, "cancel_waiting")
    needed(values, "cancel_waiting")
    cancel = flag(values, "cancel_waiting", otherwise=False)
    resumed = sending.resume(actor(request), timezone.now(), cancel_waiting=cancel)
    return Answer(sending_resource(None) | {"cancelled": resumed.cancelled})
