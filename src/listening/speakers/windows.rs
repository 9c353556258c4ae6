//! Which moments of speech get a vector, and from what these say of them to turns.

use std::{ops::Range, time::Duration};

use super::turns::Turn;
use crate::audio::{Pcm, VoiceActivity};

/// Pauses of a fifth of a second may be between two speakers; what is kept around speech is little, since it tells nothing of
/// a voice.
pub const ACTIVITY: VoiceActivity =
    VoiceActivity { threshold: 0.5, before: Duration::from_millis(50), silence: Duration::from_millis(200) };
/// Seconds of a window, and from one to the next: those of 3D-Speaker's and of most other such systems.
const LENGTH: f64 = 1.5;
const STEP: f64 = 0.75;
/// Windows of a recording, at most; work grows with their square. In more than 25 minutes of speech they are longer.
pub const MOST: usize = 2000;
/// Seconds of a window that are heard.
const HEARD: f64 = 8.0;
/// What a window takes while it is heard: 5 MB for a second.
pub const LONGEST_BYTES: usize = HEARD as usize * 5_000_000;

/// A moment of speech, in seconds of the recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    pub start: f64,
    pub end: f64,
    /// Of speech without a pause.
    pub stretch: usize,
}

/// Where the speech of a stretch ends, without most of the pause that is kept after it.
pub fn spoken_until(stretch: &Range<f64>) -> f64 {
    let pause = ACTIVITY.silence.as_secs_f64() * 0.75;
    if stretch.end - stretch.start > 2.0 * pause { stretch.end - pause } else { stretch.end }
}

// === impl Window ===

impl Window {
    pub fn seconds(&self) -> f64 {
        self.end - self.start
    }

    fn middle(&self) -> f64 {
        (self.start + self.end) / 2.0
    }

    /// What is heard of it; of one that is very long its middle.
    pub fn samples<'a>(&self, sound: &'a Pcm) -> &'a [f32] {
        let reach = (self.seconds() / 2.0).min(HEARD / 2.0);
        let (samples, rate) = (sound.samples(), f64::from(sound.rate()));
        let at = |seconds: f64| ((seconds.max(0.0) * rate).round() as usize).min(samples.len());
        &samples[at(self.middle() - reach)..at(self.middle() + reach)]
    }
}

/// The windows in stretches of speech.
pub fn windows(stretches: &[Range<f64>]) -> Vec<Window> {
    let stretches = joined(stretches, MOST / 2);
    let speech: f64 = stretches.iter().map(|stretch| stretch.end - stretch.start).sum();
    // Each stretch has one more than fit into it.
    let step = STEP.max(speech / (MOST - stretches.len()) as f64);
    let length = LENGTH.max(step);
    let windows = stretches.iter().enumerate().flat_map(|(stretch, Range { start, end })| {
        let count = ((end - start - length) / step).ceil().max(0.0) as usize;
        (0..=count).map(move |at| {
            let start = if at == 0 { *start } else { (start + at as f64 * step).min(end - length) };
            Window { start, end: (start + length).min(*end), stretch }
        })
    });
    windows.collect()
}

/// At most so many stretches: those with the shortest pauses between them are taken together.
fn joined(stretches: &[Range<f64>], most: usize) -> Vec<Range<f64>> {
    let mut pauses: Vec<f64> = stretches.windows(2).map(|pair| pair[1].start - pair[0].end).collect();
    let longest = match stretches.len().checked_sub(most) {
        None | Some(0) => return stretches.to_vec(),
        Some(too_many) => *pauses.select_nth_unstable_by(too_many - 1, f64::total_cmp).1,
    };
    let mut joined: Vec<Range<f64>> = Vec::new();
    for stretch in stretches {
        match joined.last_mut() {
            Some(last) if stretch.start - last.end <= longest => last.end = stretch.end,
            _ => joined.push(stretch.clone()),
        }
    }
    joined
}

/// Who speaks from when to when: each window says it of the sound that is nearer to its middle than to another's.
pub fn turns(windows: &[Window], speakers: &[usize]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for (at, (window, speaker)) in windows.iter().zip(speakers).enumerate() {
        let beside = |other: Option<&Window>| other.filter(|other| other.stretch == window.stretch).map(Window::middle);
        let between = |other: f64| (window.middle() + other) / 2.0;
        let start = beside(at.checked_sub(1).and_then(|at| windows.get(at))).map_or(window.start, between);
        let end = beside(windows.get(at + 1)).map_or(window.end, between);
        match turns.last_mut() {
            Some(last) if last.speaker == *speaker && start <= last.end => last.end = end,
            _ => turns.push(Turn { start, end, speaker: *speaker }),
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(windows: &[Window]) -> Vec<(f64, f64)> {
        windows.iter().map(|window| (window.start, window.end)).collect()
    }

    #[test]
    fn windows_cover_each_stretch_and_no_pause() {
        let found = windows(&[0.5..1.0, 2.0..3.5, 10.0..13.0]);
        assert_eq!(places(&found), [(0.5, 1.0), (2.0, 3.5), (10.0, 11.5), (10.75, 12.25), (11.5, 13.0)]);
        assert_eq!(windows(&[]), []);
        // The last one reaches to the end, whatever the length.
        assert_eq!(places(&windows(&[0.0..2.0])), [(0.0, 1.5), (0.5, 2.0)]);
    }

    #[test]
    fn long_recordings_have_no_more_windows_than_may_be() {
        let day = windows(&[0.0..86_400.0]);
        assert!(day.len() <= MOST && day.len() > MOST / 2, "{}", day.len());
        assert_eq!(day.last().unwrap().end, 86_400.0);
        let sound = Pcm::new(vec![0.0; 16_000 * 60], 16_000);
        assert_eq!(day[0].samples(&sound).len(), 128_000);
        let words: Vec<_> = (0..50_000).map(|at| f64::from(at)..f64::from(at) + 0.5).collect();
        let found = windows(&words);
        assert!(found.len() <= MOST && found.len() >= MOST / 2, "{}", found.len());
    }

    #[test]
    fn a_turn_ends_between_two_windows_and_at_a_pause() {
        let windows = windows(&[0.0..3.0, 5.0..6.0]);
        let turn = |start, end, speaker| Turn { start, end, speaker };
        assert_eq!(turns(&windows, &[0, 0, 1, 1]), [turn(0.0, 1.875, 0), turn(1.875, 3.0, 1), turn(5.0, 6.0, 1)]);
        assert_eq!(turns(&windows, &[1, 1, 1, 0]), [turn(0.0, 3.0, 1), turn(5.0, 6.0, 0)]);
    }
}
