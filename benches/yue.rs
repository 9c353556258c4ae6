//! YuE's two stages beside the reference's way of running them, and beside the reference itself, transformers.
//!
//!     pip install torch==2.6.0 transformers==5.23.0
//!     export YUE_PYTHON=…/bin/python
//!     cargo bench --bench yue -- FOLDER            # 2 layers of each stage, 3.5 GB, which are made if there are none
//!     cargo bench --bench yue -- FOLDER --frames 60 --blocks 4 --steps 40
//!
//! The first stage makes steps with guidance: both sequences in one pass, or a pass for each, as the reference does. The second
//! refines blocks of some frames: with one cache over all of them, or with everything read anew for each frame, as the reference
//! does. Weights are random, of the published shapes, and their layers fewer. Without `YUE_PYTHON` the folder has to be there, and
//! ours is shown alone.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its figures, and where it is")]
#![allow(clippy::disallowed_methods, reason = "a benchmark takes its parameters from the environment")]

use std::{
    env, fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, ensure};
use candle_core::{DType, Device, Result, Tensor};
use clap::Parser;
use sconce::nn::{
    ComputeContext, Threads,
    llama::{Llama, LlamaConfig, Sequence},
    sampler::argmax,
    weights::{Loader, Weights},
};
use serde::Deserialize;
use serde_json::Value;

/// Where codes of the first book begin, and what follows the last of the eighth.
const CODES: u32 = 45_334;
const END: u32 = CODES + 8 * 1024;
/// Codes of a frame, the first of which is given.
const BOOKS: usize = 8;
/// Tokens that the first stage reads before it sings.
const PROMPT: usize = 256;

#[derive(Parser)]
struct Arguments {
    /// Where the checkpoints are, or are to be made.
    #[arg(required_unless_present = "test")]
    folder: Option<PathBuf>,
    /// Layers of each stage, where they are to be made.
    #[arg(long, default_value_t = 2)]
    layers: usize,
    /// Of the first stage.
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Frames of a block of the second stage.
    #[arg(long, default_value_t = 24)]
    frames: usize,
    /// Blocks that are refined together.
    #[arg(long, default_value_t = 4)]
    blocks: usize,
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Rounds, of which the middle counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Of `cargo test`: small networks, and one round.
    #[arg(long)]
    test: bool,
    /// Of `cargo bench`, which means nothing here.
    #[arg(long)]
    bench: bool,
}

/// What the reference says: seconds of a step, and of all blocks.
#[derive(Deserialize)]
struct Reference {
    step: f64,
    blocks: f64,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.folder.clone().filter(|_| !arguments.test) {
        Some(folder) => measure(&folder, &arguments),
        None => {
            let few = Arguments { steps: 2, frames: 2, blocks: 2, rounds: 1, ..arguments };
            ours(small, &few).map(drop)
        }
    }
}

fn measure(folder: &Path, arguments: &Arguments) -> anyhow::Result<()> {
    let python = env::var_os("YUE_PYTHON").map(PathBuf::from);
    if !folder.join("stage2").is_dir() {
        let python = python.as_deref().context("YUE_PYTHON has to name a Python, to make checkpoints")?;
        let layers = arguments.layers.to_string();
        reference(python, &["make", &folder.display().to_string(), "--layers", &layers])?;
    }
    let stage = |logits: Option<Range<usize>>| if logits.is_some() { "stage2" } else { "stage1" };
    let (step, blocks) = ours(|logits| load(&folder.join(stage(logits.clone())), logits), arguments)?;
    let Some(python) = python else { return Ok(()) };
    let sizes = [arguments.threads, arguments.steps, arguments.frames, arguments.blocks].map(|size| size.to_string());
    let asked = [&["run".to_owned(), folder.display().to_string()][..], &sizes].concat();
    let said = reference(&python, &asked.iter().map(String::as_str).collect::<Vec<_>>())?;
    let Reference { step: theirs, blocks: their_blocks } = serde_json::from_str(&said)?;
    println!("| first stage, beside transformers | {step:.4} | {theirs:.4} | {:.2} |", theirs / step);
    println!("| second stage, beside transformers | {blocks:.2} | {their_blocks:.2} | {:.2} |", their_blocks / blocks);
    Ok(())
}

/// Seconds of a step of the first stage, and of all blocks of the second.
fn ours(
    stage: impl Fn(Option<Range<usize>>) -> anyhow::Result<Llama> + Sync,
    arguments: &Arguments,
) -> anyhow::Result<(f64, f64)> {
    let threads = Threads::start("yue", arguments.threads)?;
    println!("| | seconds | as the reference runs it | times |\n|---|---|---|---|");
    let (step, two) = threads.install(|| stage1(&stage(None)?, arguments))?;
    println!("| first stage, a step with guidance | {step:.4} | {two:.4} | {:.2} |", two / step);
    let logits = Some((CODES + 1024) as usize..END as usize);
    let (blocks, anew) = threads.install(|| stage2(&stage(logits)?, arguments))?;
    println!("| second stage, {} blocks | {blocks:.2} | {anew:.2} | {:.2} |", arguments.blocks, anew / blocks);
    Ok((step, blocks))
}

/// What the script says.
fn reference(python: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/yue_reference.py");
    let done = Command::new(python).arg(script).args(arguments).output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(String::from_utf8(done.stdout)?)
}

fn load(folder: &Path, logits: Option<Range<usize>>) -> anyhow::Result<Llama> {
    let config: Value = serde_json::from_slice(&fs::read(folder.join("config.json"))?)?;
    let count = |name: &str| config[name].as_u64().map(|count| count as usize);
    let heads = count("num_attention_heads").context("num_attention_heads")?;
    let config = LlamaConfig {
        layers: count("num_hidden_layers"),
        heads,
        shared: count("num_key_value_heads").unwrap_or(heads),
        head_dim: count("head_dim"),
        epsilon: 1e-5,
        theta: 1e4,
        long: None,
    };
    let name = "model.safetensors".to_owned();
    let mut weights = Weights::open(&[(name.clone(), fs::read(folder.join(name))?.into())], "")?;
    let context = ComputeContext::new(&Device::Cpu, DType::F32);
    Ok(Llama::load(&mut Loader { weights: &mut weights, context: &context }, &config, logits)?)
}

/// One of a single layer, to see that all of this runs.
fn small(logits: Option<Range<usize>>) -> anyhow::Result<Llama> {
    const WIDTH: usize = 8;
    let tensor = |name: &str, shape: &[usize]| {
        let numbers =
            (0..shape.iter().product()).map(|at: usize| ((at * 7919 % 1009) as f32 - 504.0) / 504.0).collect();
        (name.to_owned(), shape.to_vec(), numbers)
    };
    let square = [
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ];
    let layers = square.map(|name| tensor(&format!("model.layers.0.{name}.weight"), &[WIDTH; 2]));
    let norms = ["model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm", "model.norm"];
    let norms = norms.map(|name| tensor(&format!("{name}.weight"), &[WIDTH]));
    let tables =
        ["model.embed_tokens", "lm_head"].map(|name| tensor(&format!("{name}.weight"), &[END as usize, WIDTH]));
    let mut weights = Weights::of(layers.into_iter().chain(norms).chain(tables));
    let config =
        LlamaConfig { layers: None, heads: 2, shared: 2, head_dim: None, epsilon: 1e-5, theta: 1e4, long: None };
    let context = ComputeContext::new(&Device::Cpu, DType::F32);
    Ok(Llama::load(&mut Loader { weights: &mut weights, context: &context }, &config, logits)?)
}

/// The middle of some rounds, in seconds.
fn middle(rounds: usize, mut round: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut seconds = (0..rounds).map(|_| round()).collect::<Result<Vec<_>>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

// === the first stage ===

/// A step of both sequences with a token: of each the logits of the next.
type Pass<'a> = dyn Fn(u32, &mut [Sequence; 2]) -> Result<Vec<Vec<f32>>> + 'a;

/// Seconds of a step: in one pass, and in two.
fn stage1(llama: &Llama, arguments: &Arguments) -> anyhow::Result<(f64, f64)> {
    let prompt: Vec<u32> = (0..PROMPT as u32).map(|at| 3 + at * 97 % 30_000).collect();
    let begin = || -> Result<[Sequence; 2]> {
        let (mut told, mut untold) = (llama.sequence(PROMPT + arguments.steps)?, llama.sequence(1 + arguments.steps)?);
        llama.read(&prompt, &mut told)?;
        llama.read(&prompt[PROMPT - 1..], &mut untold)?;
        Ok([told, untold])
    };
    let time = |pass: &Pass<'_>| {
        middle(arguments.rounds, || {
            let mut sequences = begin()?;
            let began = Instant::now();
            for step in 0..arguments.steps as u32 {
                let logits = pass(CODES + step % 1024, &mut sequences)?;
                std::hint::black_box(argmax(&logits[0]) + argmax(&logits[1]));
            }
            Ok(began.elapsed().as_secs_f64() / arguments.steps as f64)
        })
    };
    let one = time(&|token, sequences| {
        on_host(&llama.logits(&llama.forward(&[token; 2], &mut sequences.iter_mut().collect::<Vec<_>>())?)?)
    })?;
    let two = time(&|token, sequences| {
        let logits = |sequence| on_host(&llama.logits(&llama.forward(&[token], &mut [sequence])?)?);
        let each = sequences.iter_mut().map(logits);
        Ok(each.collect::<Result<Vec<_>>>()?.concat())
    })?;
    Ok((one, two))
}

fn on_host(logits: &Tensor) -> Result<Vec<Vec<f32>>> {
    logits.to_dtype(DType::F32)?.to_vec2()
}

// === the second stage ===

/// Seconds of all blocks: with one cache, and with everything read anew.
fn stage2(llama: &Llama, arguments: &Arguments) -> anyhow::Result<(f64, f64)> {
    let block =
        |at: usize| (0..arguments.frames as u32).map(|frame| CODES + (at as u32 * 31 + frame * 7) % 1024).collect();
    let blocks: Vec<Vec<u32>> = (0..arguments.blocks).map(block).collect();
    let (mut cached, mut anew) = (Vec::new(), Vec::new());
    let one = middle(arguments.rounds, || {
        let began = Instant::now();
        cached = refine_cached(llama, &blocks)?;
        Ok(began.elapsed().as_secs_f64())
    })?;
    // Once: it takes much longer, and is as steady.
    let other = middle(1, || {
        let began = Instant::now();
        anew = refine_anew(llama, &blocks)?;
        Ok(began.elapsed().as_secs_f64())
    })?;
    ensure!(cached == anew, "both ways say the same codes");
    Ok((one, other))
}

fn prompt(block: &[u32]) -> Vec<u32> {
    [&[32_001, 32_013][..], block, &[32_017]].concat()
}

/// The likeliest of the tokens that are said.
fn likeliest(llama: &Llama, hidden: &Tensor) -> Result<Vec<u32>> {
    Ok(on_host(&llama.logits(hidden)?)?.iter().map(|logits| CODES + 1024 + argmax(logits) as u32).collect())
}

fn refine_cached(llama: &Llama, blocks: &[Vec<u32>]) -> Result<Vec<Vec<u32>>> {
    let room = |block: &Vec<u32>| block.len() * (BOOKS + 1) + 3;
    let mut sequences = blocks.iter().map(|block| llama.sequence(room(block))).collect::<Result<Vec<_>>>()?;
    for (block, sequence) in blocks.iter().zip(&mut sequences) {
        llama.read(&prompt(block), sequence)?;
    }
    let mut said = vec![Vec::new(); blocks.len()];
    for frame in 0..blocks[0].len() {
        let mut last: Vec<u32> = blocks.iter().map(|block| block[frame]).collect();
        for book in 0..BOOKS {
            said.iter_mut().zip(&last).for_each(|(said, token)| said.push(*token));
            let hidden = llama.forward(&last, &mut sequences.iter_mut().collect::<Vec<_>>())?;
            if book + 1 < BOOKS {
                last = likeliest(llama, &hidden)?;
            }
        }
    }
    Ok(said)
}

fn refine_anew(llama: &Llama, blocks: &[Vec<u32>]) -> Result<Vec<Vec<u32>>> {
    let mut said = vec![Vec::new(); blocks.len()];
    for frame in 0..blocks[0].len() {
        for (block, said) in blocks.iter().zip(&mut said) {
            said.push(block[frame]);
        }
        let read: Vec<Vec<u32>> =
            blocks.iter().zip(&said).map(|(block, said)| [prompt(block), said.clone()].concat()).collect();
        let mut sequences = read.iter().map(|read| llama.sequence(read.len() + BOOKS)).collect::<Result<Vec<_>>>()?;
        let mut hidden = Vec::new();
        for (read, sequence) in read.iter().zip(&mut sequences) {
            hidden.push(llama.read(read, sequence)?);
        }
        let mut hidden = Tensor::cat(&hidden, 0)?;
        for book in 1..BOOKS {
            let last = likeliest(llama, &hidden)?;
            said.iter_mut().zip(&last).for_each(|(said, token)| said.push(*token));
            if book + 1 < BOOKS {
                hidden = llama.forward(&last, &mut sequences.iter_mut().collect::<Vec<_>>())?;
            }
        }
    }
    Ok(said)
}
