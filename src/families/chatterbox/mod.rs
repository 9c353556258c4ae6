//! Stub.

pub mod conditionals;
pub mod flow;
pub mod prompt_mel;
pub mod s3_tokenizer;
pub mod speaker_encoder;
pub mod voice_encoder;
