"""The tests against a real server are collected where `make test-vllm` has started one."""

import os

collect_ignore = [] if os.environ.get("VLLM_TEST_URL") else ["test_served.py"]
