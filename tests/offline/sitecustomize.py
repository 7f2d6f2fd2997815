"""On the path of a server that a test starts: no connection but to this machine."""

from pytest_socket import socket_allow_hosts

socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
