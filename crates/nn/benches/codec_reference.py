"""DAC's reference, `DacModel` of transformers, for the benchmark `codec`.

    codec_reference.py FOLDER THREADS

makes a codec of the published shapes with random weights in the folder, if there is none, and says `ready`. Then it answers
each line of its input, `decode FRAMES` or `encode FRAMES`, with what that took, `[clock, cpu]`, in seconds.
"""

import json
import pathlib
import sys
import time

import torch
from transformers import DacConfig, DacModel
from transformers.utils import logging


def randomise(model):
    dice = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=dice)
        if name.endswith("alpha"):
            weight.copy_((1 + 0.4 * noise).abs() + 0.1)
        elif name.endswith("bias"):
            weight.copy_(0.1 * noise)
        elif "codebook" in name:
            weight.copy_(noise)
        elif "conv_t1" in name:
            weight.copy_(noise / (2 * weight.shape[0]) ** 0.5)
        else:
            weight.copy_((0.3 if "res_unit" in name and "conv2" in name else 1) * noise / weight[0].numel() ** 0.5)
    model.decoder.conv2.weight.mul_(0.2)


@torch.no_grad()
def main():
    folder, threads = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(threads)
    logging.disable_progress_bar()
    if not (folder / "config.json").exists():
        model = DacModel(DacConfig(sampling_rate=44_100))
        randomise(model)
        model.save_pretrained(folder)
    model = DacModel.from_pretrained(folder).eval()
    print("ready", flush=True)
    for line in sys.stdin:
        what, frames = line.split()
        shape = (1, model.config.n_codebooks, int(frames))
        codes = torch.randint(model.config.codebook_size, shape)
        samples = 0.5 * torch.sin(torch.arange(int(frames) * model.config.hop_length) * 0.031)
        began, cpu = time.perf_counter(), time.process_time()
        if what == "decode":
            model.decode(audio_codes=codes)
        else:
            model.encode(samples[None, None])
        print(json.dumps([time.perf_counter() - began, time.process_time() - cpu]), flush=True)


if __name__ == "__main__":
    main()
