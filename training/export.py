"""Write the averaged weights as a Hugging Face Whisper repository: five files, weights in float16."""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from audio import extractor
from model import ALIGNMENT_HEADS, config
from tokens import TIMES, Tokens


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The average of the checkpoint, without the CTC head and without the tied projection."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)["average"]
    whisper = {name.removeprefix("whisper."): value for name, value in state.items() if name.startswith("whisper.")}
    return {name: value.half().contiguous() for name, value in whisper.items() if name != "proj_out.weight"}


def generation_config(tokens: Tokens) -> dict:
    """How to decode; timestamps may begin anywhere in the window."""
    return {
        "_from_model_config": False,
        "alignment_heads": [list(head) for head in ALIGNMENT_HEADS],
        "begin_suppress_tokens": tokens.suppressed_at_first,
        "bos_token_id": tokens.end,
        "decoder_start_token_id": tokens["<|startoftranscript|>"],
        "eos_token_id": tokens.end,
        "is_multilingual": False,
        "max_initial_timestamp_index": len(TIMES) - 1,
        "max_length": config(tokens).max_target_positions,
        "no_timestamps_token_id": tokens["<|notimestamps|>"],
        "pad_token_id": tokens.end,
        "prev_sot_token_id": tokens["<|startofprev|>"],
        # Sconce's own: earlier text was taught without its timestamps, so it is prompted without.
        "prompt_timestamps": False,
        "return_timestamps": False,
        "suppress_tokens": tokens.suppressed,
    }


def model_config(tokens: Tokens) -> dict:
    """Whisper's configuration, with the architecture and the type of the weights named."""
    return config(tokens).to_diff_dict() | {"architectures": ["WhisperForConditionalGeneration"], "dtype": "float16"}


def write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def export(folder: Path, target: Path) -> None:
    """Fill `target` with the five files of the model."""
    target.mkdir(parents=True, exist_ok=True)
    tokens = Tokens.load(folder / "tokenizer.json")
    save_file(weights(folder), target / "model.safetensors", metadata={"format": "pt"})
    (target / "model.safetensors").chmod(0o644)
    (target / "tokenizer.json").write_text((folder / "tokenizer.json").read_text())
    write_json(target / "config.json", model_config(tokens))
    write_json(target / "generation_config.json", generation_config(tokens))
    features = extractor().to_dict()
    features.pop("mel_filters", None)
    # It was trained on windows by themselves, with silence after their sound, as transformers makes spectra.
    own = {"processor_class": "WhisperProcessor", "spectrum_of": "window"}
    write_json(target / "preprocessor_config.json", features | own)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the training run")
    parser.add_argument("target", type=Path, help="the model's directory")
    arguments = parser.parse_args()
    export(arguments.folder, arguments.target)


if __name__ == "__main__":
    main()
