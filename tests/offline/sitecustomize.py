"""Loaded by servers that a test starts: forbids connections to other machines."""

from pytest_socket import socket_allow_hosts

socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
