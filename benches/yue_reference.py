"""YuE's reference, transformers, for the benchmark `yue`.

    yue_reference.py make FOLDER [--seed N] [--layers N]            writes both stages, of the published shapes, with random weights
    yue_reference.py run FOLDER THREADS STEPS FRAMES BLOCKS         measures

needs torch 2.6 and transformers 5.23, which run as they are, in f32 with their own cache. The first stage makes STEPS with guidance,
in a pass for each sequence; the second refines BLOCKS of FRAMES, and reads everything anew for each frame. The answer of `run` is, in
seconds, `{"step", "blocks"}`: of one step of the first stage, and of all blocks of the second. It is in f32, and the weights are bfloat16's.
"""

import argparse
import json
import pathlib
import time

import torch
from transformers import LlamaConfig, LlamaForCausalLM, LogitsProcessor, LogitsProcessorList

VOCABULARY, BEGIN, END, STAGE_1, STAGE_2, CODES = 83968, 32001, 32002, 32013, 32017, 45334
STAGES = {
    "stage1": {"hidden_size": 4096, "intermediate_size": 11008, "num_attention_heads": 32, "num_key_value_heads": 4},
    "stage2": {"hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 16, "num_key_value_heads": 16},
}
PROMPT = 256


@torch.no_grad()
def make(folder, seed, layers):
    torch.manual_seed(seed)
    for name, sizes in STAGES.items():
        config = LlamaConfig(
            vocab_size=VOCABULARY, num_hidden_layers=layers, max_position_embeddings=16384, rms_norm_eps=1e-5,
            tie_word_embeddings=False, rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, **sizes,
        )  # fmt: skip
        with torch.device("meta"):
            model = LlamaForCausalLM(config)
        model = model.to_empty(device="cpu").bfloat16()
        for weight_name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, dtype=torch.bfloat16)
            if weight_name.endswith("norm.weight"):
                weight.copy_(1 + 0.2 * noise)
            else:
                weight.copy_(noise / (3 if "embed" in weight_name else weight.shape[1] ** 0.5))
        model.save_pretrained(folder / name, max_shard_size="99GB")


class Blocked(LogitsProcessor):
    def __init__(self, *ranges):
        self.ranges = ranges

    def __call__(self, input_ids, scores):
        for tokens in self.ranges:
            scores[:, tokens.start : tokens.stop] = -float("inf")
        return scores


def load(folder, name):
    # Its rotary frequencies are computed where it is made.
    return LlamaForCausalLM.from_pretrained(folder / name, dtype=torch.float32).eval()


def sing(model, steps):
    """The time of the second half of twice as many steps, so that reading the prompt is in neither."""

    def seconds(count):
        began = time.perf_counter()
        prompt = torch.tensor([[3 + at * 97 % 30000 for at in range(PROMPT)]])
        model.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=count, min_new_tokens=count,
            do_sample=True, top_p=0.93, temperature=1.0, repetition_penalty=1.1, guidance_scale=1.5, eos_token_id=END,
            pad_token_id=END, logits_processor=LogitsProcessorList([Blocked(range(END))]),
        )  # fmt: skip
        return time.perf_counter() - began

    seconds(1)
    return (seconds(2 * steps) - seconds(steps)) / steps


def refine(model, frames, blocks):
    first = torch.tensor([[CODES + (at * 31 + frame * 7) % 1024 for frame in range(frames)] for at in range(blocks)])
    tile = lambda *ids: torch.tensor([ids]).repeat(blocks, 1)
    tokens = torch.cat([tile(BEGIN, STAGE_1), first, tile(STAGE_2)], dim=1)
    blocked = LogitsProcessorList([Blocked(range(CODES + 1024), range(CODES + 8 * 1024, VOCABULARY))])
    began = time.perf_counter()
    for frame in range(frames):
        tokens = torch.cat([tokens, first[:, frame : frame + 1]], dim=1)
        tokens = model.generate(
            input_ids=tokens, attention_mask=torch.ones_like(tokens), min_new_tokens=7, max_new_tokens=7, do_sample=False,
            eos_token_id=END, pad_token_id=END, logits_processor=blocked,
        )  # fmt: skip
    return time.perf_counter() - began


@torch.no_grad()
def run(folder, threads, steps, frames, blocks):
    torch.set_num_threads(threads)
    step = sing(load(folder, "stage1"), steps)
    print(json.dumps({"step": step, "blocks": refine(load(folder, "stage2"), frames, blocks)}))


def main():
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("make")
    made.add_argument("folder", type=pathlib.Path)
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--layers", type=int, default=2)
    ran = commands.add_parser("run")
    ran.add_argument("folder", type=pathlib.Path)
    for name in ("threads", "steps", "frames", "blocks"):
        ran.add_argument(name, type=int)
    given = parser.parse_args()
    match given.command:
        case "make":
            make(given.folder, given.seed, given.layers)
        case "run":
            run(given.folder, given.threads, given.steps, given.frames, given.blocks)


if __name__ == "__main__":
    main()
