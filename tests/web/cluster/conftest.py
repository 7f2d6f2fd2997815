from collections.abc import Iterator

import pytest

from tests.web.cluster.site import Site, Writing, running_site


@pytest.fixture(scope="package")
def chat_model() -> Writing:
    return Writing()


@pytest.fixture(scope="package")
def site(chat_model: Writing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_site(chat_model, tmp_path_factory.mktemp("site")) as made:
        yield made
