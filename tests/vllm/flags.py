"""Runs in vLLM's environment: `flags.py [PROFILE.yaml ...]` has vLLM read the profiles, and prints what
`vllm serve` takes, with the choices that it gives, as JSON."""

import json
import sys

from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.model_executor.layers.quantization import QUANTIZATION_METHODS
from vllm.utils.argparse_utils import FlexibleArgumentParser


def flags(parser: FlexibleArgumentParser) -> dict[str, list[str]]:
    """Return the flags by name, without dashes; no choices if any value is allowed."""
    found = {"quantization": sorted(QUANTIZATION_METHODS)}
    for action in parser._actions:
        for option in action.option_strings:
            if option.startswith("--"):
                found.setdefault(option.removeprefix("--"), sorted(map(str, action.choices or ())))
    return dict(sorted(found.items()))


if __name__ == "__main__":
    serve = make_arg_parser(FlexibleArgumentParser())
    for profile in sys.argv[1:]:  # which ends the program if it is inconsistent
        serve.parse_args(["serve", "--config", profile])
    sys.stdout.write(json.dumps(flags(serve), indent=0) + "\n")
