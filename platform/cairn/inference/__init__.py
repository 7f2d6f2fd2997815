"""Adapters of all kinds of models, and `registry`, which loads them."""

import sys

# OpenVINO reports every import to Google Analytics, and NNCF every export, unless this package is missing.
# Nothing here may call home; this runs before any module of ours imports them.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # how Python spells "not importable"
