"""Settings of the test run: a data directory of its own, and the database that VAGUEMESTRE_TEST_DATABASE names.

`sqlite` (the default) is a file, so that threads and processes see each other's commits; `postgresql` is a cluster
that this run starts for itself. `PYTEST_SHARED` is a directory that all workers of the run see.
"""

import atexit
import base64
import os
import shutil
import tempfile


def _directory(prefix):
    made = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


_data = _directory("vaguemestre-test-")
if "PYTEST_SHARED" not in os.environ:
    os.environ["PYTEST_SHARED"] = _directory("vaguemestre-shared-")
os.environ.update(
    VAGUEMESTRE_DATA_DIR=_data,
    VAGUEMESTRE_SECRET_KEY="a key of the test run, long enough to be taken",
    VAGUEMESTRE_VAULT_KEYS=base64.b64encode(b"k" * 32).decode(),
    VAGUEMESTRE_EGRESS_ALLOW="127.0.0.0/8,::1/128",
    VAGUEMESTRE_EGRESS_PORTS="1-65535",
)
if os.environ.get("VAGUEMESTRE_TEST_DATABASE", "sqlite") == "postgresql":
    from cluster.postgresql import start_cluster

    # Started where the run begins; its workers find it, and have a database each.
    if "PYTEST_CLUSTER" not in os.environ:
        os.environ["PYTEST_CLUSTER"] = start_cluster()
    os.environ["DATABASE_URL"] = os.environ["PYTEST_CLUSTER"]

from vaguemestre.settings import *  # noqa: E402, F403
from vaguemestre.settings import DATABASES, ENVIRONMENT  # noqa: E402

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # speed; nothing here guards a secret
if ENVIRONMENT.on_sqlite:
    DATABASES["default"]["TEST"] = {"NAME": f"{_data}/test.sqlite3"}
STATIC_ROOT = tempfile.mkdtemp(
    dir=_data
)  # static files are found where they lie; the collected ones need only exist
