import socket

import pytest

from cairn.errors import ConfigurationError
from web.processes.http_server import listen, url_of


def test_free_port_is_chosen() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert url_of(listener) == f"http://127.0.0.1:{port}"


def test_url_of_all_addresses_is_loopback() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert url_of(listener).startswith("http://127.0.0.1:")


def test_ipv6_addresses_are_in_brackets() -> None:
    try:
        listener = listen("::1", 0)
    except ConfigurationError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert url_of(listener).startswith("http://[::1]:")


def test_port_in_use_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}: Address already in use"):
            listen("127.0.0.1", port)


def test_foreign_host_address_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="Cannot serve"):
        listen("192.0.2.1", 0)


def test_invalid_port_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="Cannot serve"):
        listen("127.0.0.1", 99999)
