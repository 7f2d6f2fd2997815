"""Run as a program: writes a GGUF model to a folder as OpenVINO files, tokenizer included."""

import sys
from pathlib import Path

import openvino_genai


def main(source: str, target: str) -> None:
    # GenAI writes next to the file it reads, and the original may be in a read-only folder.
    link = Path(target, "model.gguf")
    link.symlink_to(source)
    openvino_genai.LLMPipeline(link, "CPU", enable_save_ov_model=True)
    link.unlink()


if __name__ == "__main__":
    main(*sys.argv[1:])
