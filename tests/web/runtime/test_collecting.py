"""Collections do not look at what was loaded, and find what came later."""

import gc
import weakref
from pathlib import Path

import pytest

from tests.servers import run_manage
from web.processes import garbage_collection

SAID = (
    "import gc; from web.processes.embedded import Runtime; "
    "runtime = Runtime(warm=False); runtime.start(); print('said', gc.isenabled(), gc.get_freeze_count())"
)


class Knot:
    def __init__(self) -> None:
        self.self = self


@pytest.mark.slow
def test_garbage_collector_freezes_loaded_objects_and_collects_later_ones() -> None:
    gc.unfreeze()
    garbage_collection.loading_begins()
    assert not gc.isenabled()
    garbage_collection.loading_ended()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 10_000
    later = weakref.ref(Knot())
    gc.collect()
    assert later() is None


@pytest.mark.slow
@pytest.mark.models
def test_serving_process_has_frozen_its_libraries(tmp_path: Path) -> None:
    enabled, objects = run_manage(tmp_path, "shell", "-v0", "-c", SAID).stdout.split()[-2:]
    assert enabled == "True"
    assert int(objects) > 100_000
