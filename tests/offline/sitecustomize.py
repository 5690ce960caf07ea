"""Blocks the network in every process of the test run: pytest itself, the `course` command, the kernels.

Python imports `sitecustomize` at start-up from the first folder on its path; `tests/conftest.py` puts this one there.
Kernels and their clients talk over the loopback interface, so that stays open.
"""

import pytest_socket

pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
