//! What is asked of a model.

use super::sound::Hearing;
use crate::audio::Pcm;

/// What is asked of a model.
pub(super) enum TaskInput<T> {
    /// As the model gets it.
    Ready(T),
    /// Made of each sound that is decoded of a recording.
    Recording(Hearing, Box<dyn FnOnce(Vec<Pcm>) -> Vec<T> + Send>),
}

// === impl TaskInput ===

impl<T: 'static> TaskInput<T> {
    /// The same of each channel that is heard.
    pub fn of<O: Clone + Send + 'static>(hearing: Hearing, options: O, ask: fn(Pcm, O) -> T) -> Self {
        let asks = move |sounds: Vec<Pcm>| {
            let options = std::iter::repeat_n(options, sounds.len());
            sounds.into_iter().zip(options).map(|(sound, options)| ask(sound, options)).collect()
        };
        Self::Recording(hearing, Box::new(asks))
    }
}
