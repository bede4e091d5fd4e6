"""The guard of `tests/conftest.py` holds."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest


def test_no_program_is_started() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"subprocess\.Popen"):
        subprocess.run([sys.executable, "-c", ""], check=True)


def test_no_socket_is_opened() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"socket"):
        socket.create_connection(("127.0.0.1", 9))
    with pytest.raises(pytest.fail.Exception, match=r"socket\.__new__"):
        socket.socket()
