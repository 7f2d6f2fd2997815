"""What keeps a message until its work is done."""

from cairn.celery import app


def test_a_worker_that_dies_gives_its_message_back_and_hoards_none() -> None:
    assert app.conf.task_acks_late
    assert app.conf.worker_prefetch_multiplier == 1
