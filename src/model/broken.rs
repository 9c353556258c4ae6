//! A model that cannot go on.

use std::error::Error as StdError;

/// What drivers and their libraries call it.
const NO_MEMORY: [&str; 3] = ["CUDA_ERROR_OUT_OF_MEMORY", "CUBLAS_STATUS_ALLOC_FAILED", "out of memory"];

/// The model cannot go on: its device failed, or its state is unknown.
#[derive(Debug, thiserror::Error)]
#[error("the model broke: {}", first_line(.0))]
pub struct Broken(#[from] pub Box<dyn StdError + Send + Sync>);

// === impl Broken ===

impl Broken {
    /// Whether its device had no memory left for what was to be computed. Errors of devices come as text: on their way through
    /// the layers they lose their types.
    pub fn is_out_of_memory(&self) -> bool {
        is_out_of_memory(&*self.0)
    }
}

/// The same of any error, or of what it came from.
pub(super) fn is_out_of_memory(error: &(dyn StdError + 'static)) -> bool {
    let mut error = Some(error);
    while let Some(cause) = error {
        let text = cause.to_string();
        if NO_MEMORY.iter().any(|name| text.contains(name)) {
            return true;
        }
        error = cause.source();
    }
    false
}

/// What an error says, without the list of calls that candle puts beneath where `RUST_BACKTRACE` is set.
pub(super) fn first_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_ran_out_is_told_from_other_failures() {
        let broken = |text: &str| Broken(candle_core::Error::msg(text).context("in the third layer").into());
        for text in
            ["DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")", "CublasError(CUBLAS_STATUS_ALLOC_FAILED)"]
        {
            assert!(broken(text).is_out_of_memory(), "{text}");
        }
        for text in [
            "DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, \"…\")",
            "CublasError(CUBLAS_STATUS_EXECUTION_FAILED)",
            "it computes no numbers",
        ] {
            assert!(!broken(text).is_out_of_memory(), "{text}");
        }
    }

    #[test]
    fn a_message_holds_no_list_of_calls() {
        let broken = Broken("CUDA_ERROR_UNKNOWN\n   0: candle_core::error::Error::bt\n   1: sconce::main".into());
        assert_eq!(broken.to_string(), "the model broke: CUDA_ERROR_UNKNOWN");
    }
}
