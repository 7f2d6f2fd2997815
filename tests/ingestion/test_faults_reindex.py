"""kill -9 while another generation of the index is built and swapped in, under a loop of questions."""

import signal
from collections.abc import Iterator

import pytest

from ingestion.failpoints import Fault
from tests.installs import DIMENSION, Install, ended, texts, until
from tests.kill_points import kills
from tests.models import OTHER_MODEL, model_settings
from tests.reindexing import Askers, Holdup, generations, wait_for
from tests.servers import run_manage

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

OTHER = 64
DOCUMENTS = 12
BUILD = {"embedding_model": OTHER_MODEL}


@pytest.fixture(scope="module")
def holdup() -> Holdup:
    return Holdup(after=DOCUMENTS // 2)


@pytest.fixture(scope="module")
def install(holdup: Holdup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    with holdup.server() as models:
        made = Install(tmp_path_factory.mktemp("reindexed") / "data", **model_settings(models))
        with ended(made) as install:
            install.start()
            install.bring("rules", DOCUMENTS)
            install.wait_settled()
            yield install


def test_questions_are_answered_during_an_interrupted_reindexing_and_a_rollback(
    install: Install, holdup: Holdup
) -> None:
    with Askers(install).asking() as askers:
        assert install.ask("POST", "/index/generations", json=BUILD).status_code == 202
        assert holdup.reached.wait(60), generations(install)
        askers.some_more()
        done, total = (generations(install)["building"][name] for name in ("done", "total"))
        assert 0 < done < total

        install.stop(signal.SIGKILL)
        holdup.release()
        install.start()
        wait_for(install, "ready", OTHER)
        assert holdup.texts <= total + 32 * 2, "what had been written was not embedded again"
        askers.some_more()

        assert install.ask("POST", "/index/swap", json={}).status_code == 202
        wait_for(install, "active", OTHER)
        askers.some_more()
        assert install.ask("POST", "/index/rollback", json={}).status_code == 202
        wait_for(install, "active", DIMENSION)
        askers.some_more()
        rolled = run_manage(install.data_dir, "reindex", "--rollback", **install.settings)
        assert rolled.returncode == 0, rolled.stderr
        wait_for(install, "active", OTHER)
        askers.some_more()
    assert askers.wrong == []


def test_reindexing_leaves_nothing_on_disk(install: Install) -> None:
    install.stop()
    install.assert_nothing_left_over()
    install.start()


AT = {
    Fault.REINDEX_AFTER_UPSERT: "/index/generations",
    Fault.REINDEX_WHILE_OPTIMISING: "/index/generations",
    Fault.REINDEX_BEFORE_SWAP: "/index/swap",
    Fault.REINDEX_AFTER_SWAP: "/index/swap",
    Fault.REINDEX_WHILE_REMOVING: "/index/swap",
}


@pytest.mark.parametrize("fault", kills(AT))
def test_next_start_finishes_the_reindexing_after_a_kill(install: Install, fault: Fault) -> None:
    """A copy with the present model each time; documents come and go between."""
    install.stop()
    install.start(CAIRN_FAULT=fault)
    if AT[fault] == "/index/swap":
        install.ask("POST", "/index/generations", json={})
        until(lambda: "ready" in generations(install))
    name = f"rules/rules-{list(AT).index(fault):02}.md"
    install.ask("DELETE", f"/documents/{install.document(name)['id']}")
    install.upload_all({f"late/{fault}.md": next(iter(texts(1, edition=3).values()))})
    install.wait_settled()
    if AT[fault] == "/index/swap":  # an erasure rewrites each generation, which is not ready during that
        until(lambda: "ready" in generations(install), what=str(generations(install)))
    assert install.ask("POST", AT[fault], json={}).status_code < 300
    install.wait_killed()
    install.start()
    until(lambda: "removing" not in generations(install))
    if AT[fault] == "/index/generations" or fault == Fault.REINDEX_BEFORE_SWAP:
        until(lambda: "building" not in generations(install))
        install.ask("POST", "/index/swap", json={})
    until(lambda: set(generations(install)) == {"active", "retired"}, what=str(generations(install)))
    install.wait_settled()
    install.stop()
    install.assert_nothing_left_over()


def test_retired_generation_is_up_to_date_after_kills(install: Install) -> None:
    install.stop()
    install.start()
    install.ask("POST", "/index/rollback", json={})
    until(lambda: not generations(install)["retired"]["swap_requested"])
    install.stop()
    install.assert_nothing_left_over()
    folders = list((install.data_dir / "index").iterdir())
    assert len(folders) == 2
