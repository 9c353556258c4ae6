//! What a step does in a state-space layer: the kernels of `kernels/mamba2.cuh`.

use candle_core::{
    DType, Result, Tensor,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{LaunchConfig, PushKernelArg},
    },
};

use super::{
    decode::THREADS,
    division::WARP,
    number::address,
    step::{Step, check},
    table::StateGroup,
};

/// What a state-space layer takes of a row that it projected, `[rows, …]` each, parts of the same rows.
#[derive(Clone, Copy, Debug)]
pub struct StateSpaceInputs<'a> {
    /// `inner` numbers, that of all heads.
    pub gate: &'a Tensor,
    /// `inner + 2 * state` numbers, which are convolved.
    pub mixed: &'a Tensor,
    /// One a head.
    pub dt: &'a Tensor,
}

// === impl Step ===

impl Step<'_> {
    /// Takes each row's state of a group a position further. `taps [taps, channels]` and `bias [channels]` are those of the convolution;
    /// `heads [3, heads]`, in single precision: the bias of `dt`, how fast a head forgets, and how much goes past it. What was read,
    /// through the gate, `[rows, inner]`
    pub fn advance(
        &mut self,
        group: usize,
        inputs: StateSpaceInputs<'_>,
        [taps, bias]: [&Tensor; 2],
        heads: &Tensor,
    ) -> Result<Tensor> {
        let known = self.states.get(group).copied();
        let state = known.ok_or_else(|| candle_core::Error::msg(format!("a step has no group of states {group}")))?;
        inputs.check(self.rows, state)?;
        let mixed = self.convolve(state, inputs.mixed, taps, bias)?;
        let (count, head_dim, size) = state.numbers;
        let (inner, dtype) = (count * head_dim, mixed.dtype());
        check(&[heads], &[3, count], DType::F32)?;
        let out = self.memory.take(self.rows, inner, dtype)?;
        let kernel = self.kernel("advance", dtype)?;
        let (of_mixed, of_gate, of_dt) = (address(&mixed)?, address(inputs.gate)?, address(inputs.dt)?);
        let (of_heads, states, of_out) = (address(heads)?, self.table + state.offset, address(&out)?);
        let (inner, size, head_dim) = (inner as u32, size as u32, head_dim as u32);
        let stride = inputs.gate.stride()[0] as u32;
        let mut launch = self.stream.launch_builder(&kernel);
        launch.arg(&of_mixed).arg(&of_gate).arg(&of_dt).arg(&of_heads).arg(&states).arg(&of_out);
        launch.arg(&inner).arg(&size).arg(&head_dim).arg(&stride);
        let blocks = self.blocks_of(inner.div_ceil((THREADS / WARP) as u32));
        // SAFETY: the arguments are those of `advance`; whoever made the table has seen that the states are of this size, that no two
        // rows have the same, and that they live.
        unsafe { launch.launch(blocks) }.w()?;
        Ok(out)
    }

    fn convolve(&mut self, state: StateGroup, x: &Tensor, taps: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let (kept, channels) = state.window;
        check(&[taps], &[kept + 1, channels], x.dtype())?;
        check(&[bias], &[channels], x.dtype())?;
        let out = self.memory.take(self.rows, channels, x.dtype())?;
        let kernel = self.kernel("convolve", x.dtype())?;
        let (of_x, states, of_out) = (address(x)?, self.table + state.offset, address(&out)?);
        let (weights, bias) = (address(taps)?, address(bias)?);
        let (channels, taps, stride) = (channels as u32, kept as u32 + 1, x.stride()[0] as u32);
        let mut launch = self.stream.launch_builder(&kernel);
        launch.arg(&of_x).arg(&states).arg(&weights).arg(&bias).arg(&of_out).arg(&channels).arg(&taps).arg(&stride);
        let blocks = self.blocks_of(channels.div_ceil(THREADS as u32));
        // SAFETY: the arguments are those of `convolve`; of the states holds what holds for `advance`.
        unsafe { launch.launch(blocks) }.w()?;
        Ok(out)
    }

    /// So many for each row.
    fn blocks_of(&self, each: u32) -> LaunchConfig {
        LaunchConfig { grid_dim: (each, self.rows as u32, 1), block_dim: (THREADS as u32, 1, 1), shared_mem_bytes: 0 }
    }
}

// === impl StateSpaceInputs ===

impl StateSpaceInputs<'_> {
    fn check(&self, rows: usize, state: StateGroup) -> Result<()> {
        let (heads, head_dim, size) = state.numbers;
        let (inner, stride) = (heads * head_dim, self.gate.stride()[0]);
        for (part, columns) in [(self.gate, inner), (self.mixed, inner + 2 * size), (self.dt, heads)] {
            let fits = part.dims() == [rows, columns] && part.stride() == [stride, 1];
            if !fits || part.dtype() != state.window_dtype || state.window.1 != inner + 2 * size {
                candle_core::bail!("{:?} is no part of {columns} for {state:?}", part.layout());
            }
        }
        Ok(())
    }
}
