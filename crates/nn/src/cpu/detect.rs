//! What the processor can do, and what of it is used.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Vector instructions that this processor has. Only [`SimdLevel::available`] makes one, so whoever holds a level may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SimdLevel {
    instructions: Instructions,
    /// Whether products of many rows with weights of `bf16` round the rest to it.
    in_bf16: bool,
}

/// Which kernels compute on a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CpuKernels {
    /// Our own, with whatever the processor has.
    #[default]
    Auto,
    /// Our own without the matrix unit, with vectors as wide as this at most.
    Avx512,
    Avx2,
    Portable,
    /// candle's operations.
    Candle,
}

/// What was [chosen](CpuKernels::choose).
static CHOSEN: AtomicU8 = AtomicU8::new(CpuKernels::Auto as u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Instructions {
    /// Whatever the compiler makes of arrays of eight.
    Portable,
    /// With FMA and half-precision conversion.
    Avx2,
    Avx512,
    /// The same, and a matrix unit, see `tiles`.
    Avx512Tiles,
}

// === impl SimdLevel ===

impl SimdLevel {
    /// The widest that this processor has, of those that [may be used](CpuKernels::choose).
    pub fn detect() -> Self {
        let most = CpuKernels::most_instructions();
        let usable = Self::available().iter().rfind(|level| level.instructions <= most);
        usable.copied().unwrap_or(Self::with(Instructions::Portable))
    }

    /// Every level that this processor can run, weakest first.
    pub fn available() -> &'static [Self] {
        const ALL: &[SimdLevel] = &[
            SimdLevel::with(Instructions::Portable),
            SimdLevel::with(Instructions::Avx2),
            SimdLevel::with(Instructions::Avx512),
            SimdLevel::with(Instructions::Avx512Tiles),
        ];
        &ALL[..Self::count()]
    }

    #[cfg(target_arch = "x86_64")]
    fn count() -> usize {
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        match () {
            () if !avx2 => 1,
            () if !is_x86_feature_detected!("avx512f") => 2,
            () if !amx::available() => 3,
            () => 4,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn count() -> usize {
        1
    }

    /// The widest of them, for people.
    pub fn as_str(self) -> &'static str {
        match self.instructions {
            Instructions::Portable => "portable",
            Instructions::Avx2 => "avx2",
            Instructions::Avx512 => "avx512",
            Instructions::Avx512Tiles => "avx512 and a matrix unit",
        }
    }

    /// Whether products with weights of eight bits take less time than those of `f32`, of many rows too: where a processor's
    /// widest vectors multiply bytes, or a matrix unit is given them rounded.
    pub fn prefers_bytes(self) -> bool {
        match self.instructions {
            Instructions::Portable => false,
            Instructions::Avx2 => true,
            Instructions::Avx512 | Instructions::Avx512Tiles => multiplies_bytes(),
        }
    }

    /// Whether products of many rows use a matrix unit, which splits numbers and is exact to about 2⁻¹⁶, unless they may be
    /// rounded.
    pub fn has_tiles(self) -> bool {
        self.instructions == Instructions::Avx512Tiles
    }

    /// The same level where nothing is split or rounded: every product is as exact as `f32`.
    pub fn without_tiles(self) -> Self {
        Self::with(self.instructions.min(Instructions::Avx512))
    }

    /// The same level for a model that is computed in `bf16`: where the processor multiplies that, products of many rows
    /// with weights of `bf16` round the other matrix to it too, and convolutions of any.
    pub fn in_bf16(self) -> Self {
        Self { in_bf16: self.multiplies_bf16(), ..self }
    }

    /// Whether products of many rows with weights of `bf16` round the other matrix to it.
    pub fn rounds_to_bf16(self) -> bool {
        self.in_bf16
    }

    #[cfg(target_arch = "x86_64")]
    fn multiplies_bf16(self) -> bool {
        self.instructions >= Instructions::Avx512 && is_x86_feature_detected!("avx512bf16")
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn multiplies_bf16(self) -> bool {
        false
    }

    const fn with(instructions: Instructions) -> Self {
        Self { instructions, in_bf16: false }
    }

    pub(super) fn instructions(self) -> Instructions {
        self.instructions
    }
}

#[cfg(target_arch = "x86_64")]
fn multiplies_bytes() -> bool {
    is_x86_feature_detected!("avx512vnni")
}

#[cfg(not(target_arch = "x86_64"))]
fn multiplies_bytes() -> bool {
    false
}

// === impl CpuKernels ===

impl CpuKernels {
    /// For every layer of this process that is made from now on. What the processor does not have it does without.
    pub fn choose(self) {
        CHOSEN.store(self as u8, Relaxed);
    }

    /// Whether it is ours that were chosen.
    pub(crate) fn are_own() -> bool {
        CHOSEN.load(Relaxed) != Self::Candle as u8
    }

    fn most_instructions() -> Instructions {
        const CHOICES: [(CpuKernels, Instructions); 4] = [
            (CpuKernels::Avx512, Instructions::Avx512),
            (CpuKernels::Avx2, Instructions::Avx2),
            (CpuKernels::Portable, Instructions::Portable),
            (CpuKernels::Candle, Instructions::Portable),
        ];
        let chosen = CHOSEN.load(Relaxed);
        let known = CHOICES.iter().find(|(kernels, _)| *kernels as u8 == chosen);
        known.map_or(Instructions::Avx512Tiles, |(_, most)| *most)
    }
}

/// The matrix unit of some x86 processors.
#[cfg(target_arch = "x86_64")]
mod amx {
    use std::{
        arch::x86_64::{__cpuid_count, __get_cpuid_max},
        sync::OnceLock,
    };

    /// Whether there is such a unit, and the kernel lets this process use it.
    pub fn available() -> bool {
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(|| is_x86_feature_detected!("avx512f") && unit_has_bf16() && permitted())
    }

    /// Bits 22 (AMX-BF16) and 24 (AMX-TILE) of leaf 7, Intel's manual volume 2, CPUID.
    fn unit_has_bf16() -> bool {
        const WANTED: u32 = 1 << 22 | 1 << 24;
        __get_cpuid_max(0).0 >= 7 && __cpuid_count(7, 0).edx & WANTED == WANTED
    }

    /// The kernel saves the tiles only of processes that asked, `Documentation/arch/x86/xstate.rst`.
    #[cfg(target_os = "linux")]
    fn permitted() -> bool {
        const ARCH_REQ_XCOMP_PERM: libc::c_ulong = 0x1023;
        const XFEATURE_XTILEDATA: libc::c_ulong = 18;
        // SAFETY: asks for a permission and touches no memory.
        unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
    }

    #[cfg(not(target_os = "linux"))]
    fn permitted() -> bool {
        false
    }
}
