//! How a product of many rows is cut into tasks for the threads of the current pool.

/// Rows that are worth a task of their own: each lays out its part of the weights.
const LEAST: usize = 96;

/// Rows of a task, as many as have registers at once or a multiple of that, [`most`](Self::most) at most.
#[derive(Clone, Copy)]
pub struct TaskRows {
    /// Rows that are multiplied at once.
    pub step: usize,
    /// They stay in a cache beside the weights.
    pub most: usize,
}

// === impl TaskRows ===

impl TaskRows {
    /// How many of `count` rows a task takes where as many tasks as `across` take the same rows with other weights: no thread
    /// should wait for the one that has the last task.
    pub fn of(self, count: usize, across: usize) -> usize {
        self.of_threads(count, across, rayon::current_num_threads())
    }

    fn of_threads(self, count: usize, across: usize, threads: usize) -> usize {
        let fewest = count.div_ceil(self.most);
        let even = |blocks: &usize| (blocks * across).is_multiple_of(threads) || blocks * across >= 4 * threads;
        let worth = |blocks: &usize| *blocks == fewest || count.div_ceil(*blocks) >= LEAST;
        let blocks = (fewest..).take_while(worth).find(even).unwrap_or(fewest);
        count.div_ceil(blocks.max(1)).next_multiple_of(self.step).max(self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_thread_waits_for_another() {
        let rows = TaskRows { step: 12, most: 384 };
        // Not three tasks of 384 rows and one of 88.
        assert_eq!(rows.of_threads(1240, 1, 2), 312);
        assert_eq!(rows.of_threads(384, 1, 2), 192);
        // There are enough.
        assert_eq!(rows.of_threads(1240, 8, 2), 312);
        assert_eq!(rows.of_threads(24, 4, 2), 24);
        // To cut them further would cost more than it saves.
        assert_eq!(rows.of_threads(150, 1, 8), 156);
        assert_eq!(rows.of_threads(0, 1, 2), 12);
        assert_eq!(rows.of_threads(5, 0, 3), 12);
    }
}
