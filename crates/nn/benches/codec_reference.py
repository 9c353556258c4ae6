"""The reference of DAC and of X-Codec, `DacModel` and `HiggsAudioV2TokenizerModel` of transformers, for the benchmark `codec`.

    codec_reference.py FOLDER THREADS KIND

makes a codec of the published shapes (KIND: `dac`, or `xcodec` as Higgs Audio v2 has it) with random weights in the folder, if
there is none, and says `ready`. Then it answers each line of its input, `decode FRAMES` or `encode FRAMES`, with what that took,
`[clock, cpu]`, in seconds.
"""

import json
import pathlib
import sys
import time

import torch
import transformers
from transformers import DacConfig, DacModel
from transformers.utils import logging

RATES = [8, 5, 4, 2, 3]


def dac():
    return DacModel(DacConfig(sampling_rate=44_100))


def xcodec():
    acoustic = DacConfig(
        encoder_hidden_size=64, downsampling_ratios=RATES, decoder_hidden_size=1024, upsampling_ratios=RATES, hidden_size=256
    )
    config = transformers.HiggsAudioV2TokenizerConfig(target_bandwidths=[0.5, 1, 1.5, 2], acoustic_model_config=acoustic)
    return transformers.HiggsAudioV2TokenizerModel(config)


def randomise(model):
    dice = torch.Generator().manual_seed(1)
    for name, weight in [*model.named_parameters(), *model.named_buffers()]:
        if not weight.is_floating_point() or name.endswith(("inited", "cluster_size", "embed_avg")):
            continue
        noise = torch.randn(weight.shape, generator=dice)
        if name.endswith("alpha"):
            weight.copy_((1 + 0.4 * noise).abs() + 0.1)
        elif name.endswith(("norm.weight", "original0")):
            weight.copy_(1 + 0.1 * noise)
        elif name.endswith("bias"):
            weight.copy_(0.1 * noise)
        elif "codebook" in name:
            weight.copy_(noise)
        elif "conv_t1" in name:
            weight.copy_(noise / (2 * weight.shape[0]) ** 0.5)
        else:
            weight.copy_((0.3 if "res_unit" in name and "conv2" in name else 1) * noise / weight[0].numel() ** 0.5)
    decoder = getattr(model, "acoustic_decoder", None) or model.decoder
    decoder.conv2.weight.mul_(0.2)


def sizes(model):
    """Samples of a frame, codes of a frame, how many a book has."""
    config = model.config
    if isinstance(model, DacModel):
        return config.hop_length, config.n_codebooks, config.codebook_size
    return config.hop_length, config.num_quantizers, config.codebook_size


@torch.no_grad()
def main():
    folder, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(threads)
    logging.disable_progress_bar()
    if not (folder / "config.json").exists():
        model = dac() if sys.argv[3] == "dac" else xcodec()
        randomise(model)
        model.save_pretrained(folder)
    kind = DacModel if sys.argv[3] == "dac" else transformers.HiggsAudioV2TokenizerModel
    model = kind.from_pretrained(folder).eval()
    hop, books, codes = sizes(model)
    print("ready", flush=True)
    for line in sys.stdin:
        what, frames = line.split()
        chosen = torch.randint(codes, (1, books, int(frames)))
        samples = 0.5 * torch.sin(torch.arange(int(frames) * hop) * 0.031)
        began, cpu = time.perf_counter(), time.process_time()
        if what == "decode":
            model.decode(audio_codes=chosen)
        else:
            model.encode(samples[None, None])
        print(json.dumps([time.perf_counter() - began, time.process_time() - cpu]), flush=True)


if __name__ == "__main__":
    main()
