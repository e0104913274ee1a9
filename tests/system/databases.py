"""On which database a long test runs when."""

import pytest

# On SQLite in every run, on PostgreSQL in `make soak`. For tests that take `database`.
sqlite_first = pytest.mark.parametrize(
    "database",
    ["sqlite", pytest.param("postgresql", marks=[pytest.mark.slow, pytest.mark.needs("pg_ctlcluster")])],
    indirect=True,
)
