"""Settings of the test run: a data directory of its own, and the database that VAGUEMESTRE_TEST_DATABASE names.

`sqlite` (the default) is a file, so that threads and processes see each other's commits; `postgresql` is a cluster
that this run starts for itself (`cluster.suite`).
"""

import atexit
import base64
import os
import shutil
import tempfile

from cluster.postgresql import stop, the_cluster
from cluster.shared import begin


def _directory(prefix):
    made = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


_data = _directory("vaguemestre-test-")
begin(at_end=stop)  # where the run begins; its workers find what it has made
os.environ.update(
    VAGUEMESTRE_DATA_DIR=_data,
    VAGUEMESTRE_SECRET_KEY="a key of the test run, long enough to be taken",
    VAGUEMESTRE_VAULT_KEYS=base64.b64encode(b"k" * 32).decode(),
    VAGUEMESTRE_EGRESS_ALLOW="127.0.0.0/8,::1/128",
    VAGUEMESTRE_EGRESS_PORTS="1-65535",
)
if os.environ.get("VAGUEMESTRE_TEST_DATABASE", "sqlite") == "postgresql":
    os.environ["DATABASE_URL"] = the_cluster()

from vaguemestre.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # speed; nothing here guards a secret
STATIC_ROOT = tempfile.mkdtemp(
    dir=_data
)  # static files are found where they lie; the collected ones need only exist
