//! Why a file of PyTorch's is not read.

/// Reads well after the name of the file and a colon.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    #[error("it is not a zip as torch.save writes it since PyTorch 1.6 ({0}); save it anew, best as safetensors")]
    Zip(#[from] zip::result::ZipError),
    #[error("its entry {0} is compressed, encrypted or outside of the file; torch.save writes none such")]
    Entry(String),
    #[error("it has no entry {0}")]
    NoEntry(String),
    #[error("it was written on a big-endian machine")]
    BigEndian,
    #[error("its {what} exceeds the limit of {most}")]
    TooMuch { what: &'static str, most: usize },
    #[error("its pickle asks for {0}, which is no part of tensors and could do anything; only plain tensors are read")]
    Global(String),
    #[error("its pickle has the instruction {code:#04x} at byte {at}, which tensors do not need")]
    Opcode { code: u8, at: usize },
    #[error("its pickle is broken at byte {at}: {reason}")]
    Broken { at: usize, reason: &'static str },
    #[error("it names two tensors {0:?}")]
    Twice(String),
    #[error("its entry data/{key} has {bytes} bytes, and its pickle says otherwise")]
    Storage { key: String, bytes: usize },
    #[error(
        "a tensor of shape {shape:?} and strides {strides:?} from {offset} on lies outside of its storage of {len} numbers"
    )]
    Outside { shape: Vec<usize>, strides: Vec<usize>, offset: usize, len: usize },
}
