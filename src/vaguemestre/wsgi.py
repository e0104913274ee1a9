"""The WSGI application that Granian serves."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "vaguemestre.settings")
_django = get_wsgi_application()

from vaguemestre.doors.api.intake import Intake  # noqa: E402  models can be loaded once there are settings

application = Intake(_django)
