"""Blocks the network in every process of the test run: pytest itself, the `course` command, the kernels.

Python imports `sitecustomize` at start-up from the first folder on its path; `tests/conftest.py` puts this one there.
Kernels and their clients talk over the loopback interface, so that stays open.
"""

import sys

import pytest_socket

pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)

# Whatever reads notebooks would spend two seconds on it, as `utils/course/__init__.py` says.
sys.modules.setdefault("rfc3987_syntax", None)
