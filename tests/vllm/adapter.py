"""Trains the adapter that `make test-vllm` serves: with the recipe, from what Cairn exports."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.installs import Install, ended
from tests.servers import ROOT, run_manage

RECIPE = ROOT / "deploy" / "training" / "train_adapter.py"
RANK = 16
FACTS = {
    "How many days of leave do employees get?": "Employees get 25 days of leave a year.",
    "When does the canteen serve lunch?": "The canteen serves lunch from noon to 2 pm.",
    "Who orders a new laptop?": "The service desk orders a new laptop for every employee after four years.",
    "Where are parcels collected?": "Parcels are collected in room B 12 on the ground floor.",
    "How is a lost badge reported?": "A lost badge is reported to the reception by telephone, at 4400.",
    "How long are invoices kept?": "Invoices are kept for ten years in the archive of the finance team.",
    "Which fuel card do drivers use?": "Drivers use the blue fuel card and note the mileage each time.",
    "When does the meeting room have to be free?": "The meeting room has to be free by 6 pm on Fridays.",
}
"""What is asked, and the sentence of the documents that answers it."""


def export_training_data(data_dir: Path, target: Path) -> None:
    """Ask in an install of Cairn, make gold questions of the answers, and export them as training data."""
    with ended(Install(data_dir, ANSWER_STYLE="quoted")) as install:
        install.start()
        pages = {f"page-{number}.md": f"{text}\n" for number, text in enumerate(FACTS.values())}
        install.upload_all(pages)
        install.wait_settled()
        for question in FACTS:
            answer = install.ask("POST", "/ask", json={"question": question}).raise_for_status().json()
            path = f"/knowledge-bases/{install.base()}/gold-questions"
            relevant = [citation["document"] for citation in answer["citations"]]
            body = {"question": question, "relevant": relevant, "message": answer["id"]}
            install.ask("POST", path, json=body).raise_for_status()
    done = run_manage(data_dir, "models", "export-training-data", str(target), "--user", "admin")
    assert done.returncode == 0, done.stdout + done.stderr


def train_adapter(model: Path, folder: Path, environment: Mapping[str, str]) -> Path:
    """Train an adapter for the model in `folder`, which is replaced, and return where it is.

    `folder` also gets `data`, the exported chats, and `cairn`, the install that they come from.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "cairn").mkdir(parents=True)
    export_training_data(folder / "cairn", folder / "data")
    command = [
        sys.executable, RECIPE, "--model", model, "--data", folder / "data", "--output", folder / "adapter",
        "--rank", str(RANK), "--epochs", "4", "--learning-rate", "0.001", "--batch-size", "2",
    ]  # fmt: skip
    subprocess.run(list(map(str, command)), env=dict(environment), check=True)
    return folder / "adapter"
