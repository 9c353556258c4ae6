"""The teacher: hibari, with the durations that its graph keeps to itself."""

import json
from pathlib import Path

import hibari
import numpy as np
import onnx
import onnxruntime
from hibari import dsp

ASSETS = Path(hibari.__file__).parent / "assets"
DURATIONS = "/Clip_output_0"


class Teacher:
    """hibari's voice on one thread."""

    def __init__(self):
        graph = onnx.load(ASSETS / "hibari.onnx")
        graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(DURATIONS))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
        self.vocabulary = json.loads((ASSETS / "vocab.json").read_text())

    def speak(self, sounds: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(samples at 24 kHz, f0 [frames] in Hz, frames of each symbol with both edges) for `sounds`."""
        ids = np.array([[0, *(self.vocabulary[sound] for sound in sounds), 0]])
        *parts, durations = self.session.run(None, {"ids": ids, "speed": np.ones(1, np.float32)})
        lh, th, ln, lr, phi, f0 = (part[0] for part in parts)
        samples = dsp.synth(lh, th, ln, lr, phi, f0, np.random.default_rng(seed))
        return samples, f0, durations.reshape(-1).astype(int)
