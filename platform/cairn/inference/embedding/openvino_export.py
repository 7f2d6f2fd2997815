"""Run as a program: saves a sentence-transformers model with its transformer as an OpenVINO graph."""

import sys

from sentence_transformers import SentenceTransformer


def main(source: str, target: str) -> None:
    model = SentenceTransformer(
        source, backend="openvino", device="cpu", local_files_only=True, model_kwargs={"export": True}
    )
    model.save_pretrained(target, create_model_card=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
