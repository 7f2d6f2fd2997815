"""Native libraries are used for the first time by one thread alone.

C++ initialises the static variables of a function under a guard. The bindings of OpenVINO and PyTorch do
so while they hold Python's global lock (the GIL), and may release it in between, for example for a garbage
collection. A second thread that takes the GIL then and reaches the same guard waits for it without
releasing the GIL, and the process never runs Python code again. Every adapter therefore calls
`prepare_openvino` or `prepare_torch` before it loads a model: what they touch is initialised when they
return.
"""

import threading
from functools import cache
from typing import Any

import numpy as np
import openvino
from openvino import opset13

_lock = threading.RLock()


def prepare_openvino() -> None:
    """Create the first tensors and run the first inference. Other threads wait until it is done."""
    with _lock:
        _use_openvino()


def prepare_torch() -> Any:
    """Import PyTorch, exchange the first arrays with NumPy, and return the module."""
    with _lock:
        return _use_torch()


@cache
def _use_openvino() -> None:
    for dtype in (np.int64, np.int32, np.float32, np.float16, np.uint8, np.bool_):
        for shared in (True, False):
            tensor = openvino.Tensor(np.ones((1, 1), dtype), shared_memory=shared)
            tensor.data.copy()
    request = _identity_model().create_infer_request()
    for shared in (True, False):
        request.infer({"ids": np.ones((1, 1), np.int64)}, share_inputs=shared, share_outputs=shared)
        request.get_output_tensor(0).data.copy()


def _identity_model() -> Any:
    ids = opset13.parameter([-1, -1], np.int64, name="ids")
    model = openvino.Model([opset13.result(opset13.convert(ids, "f32"))], [ids], "identity")
    compiled = openvino.Core().compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    return compiled


@cache
def _use_torch() -> Any:
    import torch  # noqa: PLC0415 - five seconds and half a gigabyte that most installs do not need

    for dtype in (np.int64, np.int32, np.float32):
        tensor = torch.from_numpy(np.ones((1, 1), dtype))
        with torch.inference_mode():
            np.asarray((tensor @ tensor).float().cpu().numpy())
    return torch
