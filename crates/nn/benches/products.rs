//! Products as layers make them, beside candle's own operations, the machine's arithmetic and its memory, in one run.
//!
//!     cargo bench -p sconce-nn --bench products
//!     cargo bench -p sconce-nn --bench products -- --threads 1
//!
//! A layer of `[columns, depth]` takes one row, eight, and the 1500 of a window of Whisper. Weights are random and of several
//! copies, so that they come from memory as those of a model with many layers do. Of many rows a cell is what was multiplied, in
//! GFLOP a second, and the share of what the processor can do at most in that type: with a matrix unit in `bf16`, and a third of
//! it in `f32`, which is three products there. Of few rows it is the gigabytes of weights that were read in a second. `avx2` is what a processor without AVX-512 would do here.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(unsafe_code, reason = "what the processor can do at most is asked by its instructions")]

use std::{env, hint::black_box, time::Instant};

use candle_core::{DType, Device, Tensor};
use sconce_nn::{ComputeContext, Epilogue, Linear, SimdLevel, Threads, weights::WeightData};

type Done<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Depth and columns: of Whisper base, small and large, and of Chatterbox's flow.
const SHAPES: [(usize, usize); 5] = [(512, 2048), (768, 3072), (1280, 5120), (256, 1024), (1024, 256)];
const ROWS: [usize; 3] = [1, 8, 1500];
/// Bytes of all copies of a layer's weights: more than caches hold.
const COPIES: usize = 160 << 20;
/// Seconds that each cell works, at least.
const SECONDS: f64 = 0.25;
/// Bytes that are read to see how fast memory is.
const READ: usize = 1 << 29;

/// How a layer computes.
struct Kernels {
    name: String,
    context: ComputeContext,
    /// Bytes of a weight.
    width: f64,
    peak: Option<f64>,
}

fn main() -> Done<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let threads = arguments.iter().skip_while(|argument| *argument != "--threads").nth(1);
    let threads = threads.map_or(Ok(2), |threads| threads.parse())?;
    let pool = Threads::start("products", threads)?;
    let memory = pool.install(|| read_bytes_per_second(threads));
    let peaks = pool.install(|| Peaks::measure(threads));
    println!("{threads} threads read {:.1} GB/s of memory; at most {peaks}", memory / 1e9);
    let kernels = all(&peaks);
    for (depth, columns) in SHAPES {
        let names: String = kernels.iter().map(|kernels| format!(" {} |", kernels.name)).collect();
        println!("\n| {depth} by {columns} |{names}\n|{}", "---|".repeat(kernels.len() + 1));
        let mut cells = vec![Vec::new(); ROWS.len()];
        for kernels in &kernels {
            let layers = layers(kernels, depth, columns)?;
            for (rows, cells) in ROWS.into_iter().zip(&mut cells) {
                let seconds = pool.install(|| seconds(&layers, rows, depth))?;
                cells.push(kernels.cell(rows, depth, columns, seconds));
            }
        }
        for (rows, cells) in ROWS.into_iter().zip(cells) {
            println!("| {rows} rows | {} |", cells.join(" | "));
        }
    }
    Ok(())
}

fn all(peaks: &Peaks) -> Vec<Kernels> {
    let context = |dtype, kernels| ComputeContext { kernels, ..ComputeContext::new(&Device::Cpu, dtype) };
    let named = |name: &str, context: ComputeContext, width: f64, peak| {
        let name = name.to_owned();
        Kernels { name, context, width, peak }
    };
    let mut all = vec![named("candle, f32", context(DType::F32, None), 4.0, peaks.f32)];
    let avx2 = SimdLevel::available().get(1).copied();
    let widest = Some(SimdLevel::detect());
    for (level, of) in [(avx2, " avx2"), (widest, "")] {
        let Some(level) = level else { continue };
        let own = |dtype| context(dtype, Some(level));
        let peak = |peak: Option<f64>| peak.filter(|_| of.is_empty());
        let unit = peaks.unit.filter(|_| level.has_tiles());
        let f32 = unit.map(|unit| unit / 3.0).or(peaks.f32);
        all.push(named(&format!("f32{of}"), own(DType::F32), 4.0, peak(f32)));
        if of.is_empty() {
            all.push(named("bf16", own(DType::BF16).with_rounded_activations(), 2.0, peak(unit.or(peaks.bf16))));
        }
        all.push(named(&format!("q8{of}"), own(DType::F32).with_q8(), 34.0 / 32.0, peak(unit.or(peaks.int8))));
    }
    all
}

fn layers(kernels: &Kernels, depth: usize, columns: usize) -> Done<Vec<Linear>> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let weights: Vec<f32> = (0..depth * columns).map(|_| next()).collect();
    let copies = (COPIES as f64 / ((depth * columns) as f64 * kernels.width)) as usize;
    let layer = |_| Linear::quantizable(&[WeightData::from(weights.clone())], None, depth, &kernels.context);
    Ok((0..copies.max(1)).map(layer).collect::<candle_core::Result<_>>()?)
}

/// The least that one product took, of as many as there is time for.
fn seconds(layers: &[Linear], rows: usize, depth: usize) -> Done<f64> {
    let numbers: Vec<f32> = (0..rows * depth).map(|at| (at as f32 * 0.37).sin()).collect();
    let x = Tensor::from_vec(numbers, (rows, depth), &Device::Cpu)?;
    let (began, mut least, mut at) = (Instant::now(), f64::INFINITY, 0);
    while began.elapsed().as_secs_f64() < SECONDS || at < 8 {
        // Of single rows some together, since a clock has its own price.
        let together = if rows > 8 { 1 } else { 8.min(layers.len()) };
        let one = Instant::now();
        for _ in 0..together {
            black_box(layers[at % layers.len()].forward(&x, Epilogue::None)?);
            at += 1;
        }
        least = least.min(one.elapsed().as_secs_f64() / together as f64);
    }
    Ok(least)
}

fn read_bytes_per_second(threads: usize) -> f64 {
    let part = READ / threads / size_of::<u64>();
    let numbers: Vec<Vec<u64>> = (0..threads).map(|thread| vec![thread as u64; part]).collect();
    let once = |_| {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for numbers in &numbers {
                scope.spawn(|| black_box(numbers.iter().fold(0u64, |sum, &number| sum.wrapping_add(number))));
            }
        });
        began.elapsed().as_secs_f64()
    };
    READ as f64 / (0..5).map(once).fold(f64::INFINITY, f64::min)
}

// === impl Kernels ===

impl Kernels {
    fn cell(&self, rows: usize, depth: usize, columns: usize, seconds: f64) -> String {
        let weights = (depth * columns) as f64;
        if rows <= 8 {
            return format!("{:.0} µs, {:.1} GB/s", seconds * 1e6, weights * self.width / seconds / 1e9);
        }
        let rate = 2.0 * rows as f64 * weights / seconds;
        let share = self.peak.map_or(String::new(), |peak| format!(", {:.0} %", rate / peak * 100.0));
        format!("{:.0}{share}", rate / 1e9)
    }
}

/// Operations a second of all threads, two for a product that is added; `None` where there are no such instructions.
struct Peaks {
    f32: Option<f64>,
    bf16: Option<f64>,
    int8: Option<f64>,
    /// Of a matrix unit, in `bf16`.
    unit: Option<f64>,
}

// === impl Peaks ===

impl Peaks {
    #[cfg(target_arch = "x86_64")]
    fn measure(threads: usize) -> Self {
        let avx512 = is_x86_feature_detected!("avx512f");
        let measure = |there: bool, work: unsafe fn(usize), operations| {
            // SAFETY: each is called where its instructions are.
            there.then(|| operations_per_second(threads, |rounds| unsafe { work(rounds) }, operations))
        };
        Self {
            f32: measure(avx512, peak::f32, 16 * 2),
            bf16: measure(avx512 && is_x86_feature_detected!("avx512bf16"), peak::bf16, 32 * 2),
            int8: measure(avx512 && is_x86_feature_detected!("avx512vnni"), peak::int8, 64 * 2),
            unit: measure(SimdLevel::detect().has_tiles(), peak::unit, 16 * 16 * 32 * 2),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn measure(_threads: usize) -> Self {
        Self { f32: None, bf16: None, int8: None, unit: None }
    }
}

impl std::fmt::Display for Peaks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, peak) in [("f32", self.f32), ("bf16", self.bf16), ("int8", self.int8), ("matrix unit", self.unit)] {
            match peak {
                Some(peak) => write!(f, " {name} {:.0} GFLOP/s", peak / 1e9)?,
                None => write!(f, " {name} not there")?,
            }
        }
        Ok(())
    }
}

#[cfg(target_arch = "x86_64")]
fn operations_per_second(threads: usize, work: impl Fn(usize) + Sync, operations: usize) -> f64 {
    const ROUNDS: usize = 1 << 22;
    let once = |_| {
        let began = Instant::now();
        std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(|| work(ROUNDS)))));
        began.elapsed().as_secs_f64()
    };
    let least = (0..5).map(once).fold(f64::INFINITY, f64::min);
    (threads * ROUNDS * peak::SUMS * operations) as f64 / least
}

/// Products in registers, and nothing else.
#[cfg(target_arch = "x86_64")]
mod peak {
    use std::{
        arch::{asm, x86_64::*},
        hint::black_box,
    };

    /// As many as never wait for each other.
    pub const SUMS: usize = 24;

    macro_rules! peak {
        ($name:ident, $features:literal, $zero:expr, $sums:ident, $factor:ident => $add:expr) => {
            #[target_feature(enable = $features)]
            pub fn $name(rounds: usize) {
                let $factor = black_box(_mm512_setzero_si512());
                let mut sums = [$zero; SUMS];
                for _ in 0..rounds {
                    for $sums in &mut sums {
                        *$sums = $add;
                    }
                }
                black_box(sums);
            }
        };
    }

    /// As many products of whole tiles, in bf16, into four sums.
    pub unsafe fn unit(rounds: usize) {
        #[repr(C, align(64))]
        struct Palette([u8; 64]);
        let mut palette = Palette([0; 64]);
        palette.0[0] = 1;
        for tile in 0..8 {
            // Bytes of a row, and rows.
            palette.0[16 + 2 * tile] = 64;
            palette.0[48 + tile] = 16;
        }
        // SAFETY: the caller found the unit, and this process may use it.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &palette, options(nostack, readonly));
            asm!(
                "2:",
                "tdpbf16ps tmm0, tmm4, tmm6", "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6", "tdpbf16ps tmm3, tmm5, tmm7",
                "dec {rounds}", "jnz 2b",
                rounds = inout(reg) rounds * SUMS / 4 => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
            asm!("tilerelease", options(nostack, nomem));
        }
    }

    peak!(f32, "avx512f", _mm512_setzero_ps(), sum, factor => {
        _mm512_fmadd_ps(_mm512_castsi512_ps(factor), _mm512_castsi512_ps(factor), *sum)
    });
    peak!(bf16, "avx512f,avx512bf16", _mm512_setzero_ps(), sum, factor => {
        // SAFETY: both are 64 bytes without meaning of their own.
        let pairs = unsafe { std::mem::transmute::<__m512i, __m512bh>(factor) };
        _mm512_dpbf16_ps(*sum, pairs, pairs)
    });
    peak!(int8, "avx512f,avx512vnni", _mm512_setzero_si512(), sum, factor => {
        _mm512_dpbusd_epi32(*sum, factor, factor)
    });
}
