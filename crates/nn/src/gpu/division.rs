//! How attention is divided among the blocks of a launch: a card is busy only if each of its multiprocessors has some, and few
//! rows have few heads. What several blocks find of a head, the last of them puts together (`kernels/attend.cuh`).

use candle_core::{
    Result,
    cuda_backend::{
        WrapErr,
        cudarc::driver::{CudaStream, LaunchConfig, sys},
    },
};

/// Bytes that a thread reads at once.
pub(super) const PACK: usize = 16;
/// `WARP` of the kernels.
pub(super) const WARP: usize = 32;
/// `WARPS` of the kernels.
const WARPS: usize = 4;
/// `AT_ONCE` of the kernels.
const AT_ONCE: usize = 4;
/// `BLOCKS` of the kernels.
const BLOCKS: usize = 1024;

/// What a launch attends to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attention {
    pub rows: usize,
    /// Of keys and values.
    pub heads: usize,
    pub head_dim: usize,
    /// Heads of queries to each.
    pub group: usize,
    /// Bytes of a number.
    pub number: usize,
    /// Of the longest row, as long as it may become: a graph keeps its blocks.
    pub positions: usize,
}

/// One of the two kernels that there are of each.
struct Kernel {
    /// `QUERIES` of it: heads of queries that share what is read.
    queries: usize,
    /// `FIT` of it: blocks that a multiprocessor has room for.
    fit: usize,
}

const ALONE: Kernel = Kernel { queries: 1, fit: 5 };
const GROUPED: Kernel = Kernel { queries: 4, fit: 3 };

// === impl Attention ===

impl Attention {
    /// The name of the kernel, of those that do the same.
    pub fn name(&self, of_each: &str) -> String {
        if self.group == 1 { of_each.to_owned() } else { format!("{of_each}_grouped") }
    }

    pub fn launch(&self, stream: &CudaStream) -> Result<LaunchConfig> {
        use sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT as MULTIPROCESSORS;
        let multiprocessors = stream.context().attribute(MULTIPROCESSORS).w()?.unsigned_abs() as usize;
        let floats = WARPS * self.kernel().queries * (2 + self.head_dim);
        Ok(LaunchConfig {
            grid_dim: (self.parts(multiprocessors) as u32, self.sets() as u32, self.rows as u32),
            block_dim: ((WARP * WARPS) as u32, 1, 1),
            shared_mem_bytes: (size_of::<f32>() * floats) as u32,
        })
    }

    /// Blocks for each set of queries, so that all are there at once, and none has less than it reads at once.
    fn parts(&self, multiprocessors: usize) -> usize {
        let blocks = BLOCKS.min(multiprocessors * self.kernel().fit);
        let most = self.positions.div_ceil(self.positions_at_once()).max(1);
        (blocks / (self.rows * self.sets()).max(1)).clamp(1, most)
    }

    /// Of a row: heads of queries that share what is read.
    fn sets(&self) -> usize {
        self.heads * self.group.div_ceil(self.kernel().queries)
    }

    /// Of a block.
    fn positions_at_once(&self) -> usize {
        let lanes = (self.head_dim * self.number / PACK).next_power_of_two();
        WARP * WARPS / lanes * AT_ONCE
    }

    fn kernel(&self) -> Kernel {
        if self.group == 1 { ALONE } else { GROUPED }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of so many rows, heads of keys and values, heads of queries to each, and positions.
    fn parts([rows, heads, group, positions]: [usize; 4], head_dim: usize, multiprocessors: usize) -> usize {
        Attention { rows, heads, head_dim, group, number: 2, positions }.parts(multiprocessors)
    }

    #[test]
    fn a_row_is_divided_until_all_of_a_card_is_busy() {
        // What large-v3-turbo listens to, on an H100, an A100, an L4 and a card of one multiprocessor: 24 times 64 positions.
        let turbo = [1, 20, 1, 1500];
        assert_eq!([132, 108, 58, 1].map(|card| parts(turbo, 64, card)), [24, 24, 14, 1]);
        // Both rows of YuE's first stage, whose heads are four to 32: on an H100 all 396 blocks but twelve.
        assert_eq!(parts([2, 4, 8, 16384], 128, 132), 24);
    }

    #[test]
    fn many_rows_are_not_divided() {
        assert_eq!([2, 8, 64].map(|rows| parts([rows, 20, 1, 1500], 64, 132)), [16, 4, 1]);
        assert_eq!(parts([1, 2000, 1, 1500], 64, 132), 1);
    }

    #[test]
    fn no_block_has_less_than_it_reads_at_once() {
        assert_eq!([0, 1, 64, 65, 448].map(|positions| parts([1, 20, 1, positions], 64, 132)), [1, 1, 1, 2, 7]);
        // A larger head takes more of a block's threads, one of 40 as many as one of 64.
        assert_eq!([8, 40, 64, 128].map(|head_dim| parts([1, 20, 1, 512], head_dim, 132)), [1, 8, 8, 16]);
    }

    #[test]
    fn there_is_room_for_what_all_blocks_leave() {
        for (heads, group) in [(1, 1), (3, 1), (20, 1), (1, 2), (8, 4), (4, 8)] {
            for rows in 1..=64 {
                let attention = Attention { rows, heads, head_dim: 128, group, number: 4, positions: usize::MAX };
                let parts = attention.parts(10_000);
                assert!(parts == 1 || rows * attention.sets() * parts <= BLOCKS, "{attention:?}");
            }
        }
    }
}
