//! Requests, and the networks that answer them: a step of either stage for every song in hand, and sound as sections are finished.

use std::collections::VecDeque;

use super::{
    checkpoint::{self, FinishedSections},
    lyrics::Lyrics,
    options::{MOST_BLOCKS, SongOptions},
    prompt::Prompter,
    references::References,
    rendering::{RATE, Rendering},
    song::{Song, SongPlan},
    sound::{SongDecoder, Stems},
    stages::Stages,
    tokens::Words,
    track::BLOCK,
};
use crate::{
    audio::Pcm,
    families::speech_error::SpeechError,
    model::{Batch, Broken, Model, Request, RequestError},
    nn::Threads,
    speech::{SpeechEvent, SpeechSummary, Synthesize, SynthesizeOptions},
};

/// The sounds of a song, the usual one first.
pub const STEMS: &[&str] = &["mix", "vocals", "instrumental"];

/// What is sung before anybody asks, and how little of it.
const WARM_UP: (&str, &str) = ("[verse]\nla", "pop");
const WARM_UP_TOKENS: usize = 4;
/// Steps after which a caller is told how far a song is.
const PROGRESS: usize = 50;
/// Samples of a piece of sound that is handed out.
const PIECE: usize = RATE as usize;

/// The model.
pub struct Synthesizer {
    pub threads: Threads,
    pub singer: Singer,
    pub max_batch: usize,
}

/// The networks, and what they are told with.
pub struct Singer {
    pub stages: Stages,
    pub decoder: SongDecoder,
    pub words: Words,
    pub references: References,
    /// Of the files and the numbers that it computes with.
    pub fingerprint: String,
    /// Positions of the first stage.
    pub positions: usize,
    /// Bytes of keys and values that a position takes, of either stage.
    pub position_bytes: [u64; 2],
    pub top_k: Option<usize>,
}

/// A request in hand, and what becomes of it.
struct Row {
    request: Request<Synthesize>,
    song: Song,
    rendering: Rendering,
    /// What may leave as soon as there is room for it.
    ready: VecDeque<SpeechEvent>,
    samples: usize,
    steps: usize,
    /// Everything is there.
    over: bool,
}

// === impl Synthesizer ===

impl Synthesizer {
    /// Works on requests until nobody is left.
    fn work(&mut self, batch: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let newcomers = batch.admit(self.max_batch.saturating_sub(rows.len()));
            if rows.is_empty() && newcomers.is_empty() {
                return self.rest();
            }
            for request in newcomers {
                rows.extend(self.begin(request)?);
            }
            rows.iter_mut().for_each(Row::hand_out);
            rows.extract_if(.., |row| row.is_over()).for_each(Row::end);
            let mut going: Vec<_> = rows.iter_mut().filter(|row| row.can_go_on()).collect();
            if going.is_empty() {
                batch.park(rows.iter().map(|row| &row.request));
                continue;
            }
            let Self { threads, singer, .. } = self;
            threads.install(|| singer.step(&mut going)).map_err(|error| Broken(error.into()))?;
            batch.step();
        }
    }

    /// The next song begins with the first stage.
    fn rest(&mut self) -> Result<(), Broken> {
        let Self { threads, singer, .. } = self;
        threads.install(|| singer.stages.first().map(drop)).map_err(|error| Broken(error.into()))
    }

    /// Answers at once what cannot be done.
    fn begin(&self, request: Request<Synthesize>) -> Result<Option<Row>, Broken> {
        match self.threads.install(|| self.singer.song(request.ask())) {
            Ok(song) => Ok(Some(Row::new(request, song))),
            Err(error) => {
                request.fail(error.of_request()?);
                Ok(None)
            }
        }
    }
}

impl Model for Synthesizer {
    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn synthesize(&mut self, requests: &mut Batch<'_, Synthesize>) -> Result<(), Broken> {
        self.work(requests)
    }

    fn warm_up(&mut self) -> Result<(), Broken> {
        let Self { threads, singer, .. } = self;
        threads.install(|| singer.warm_up()).map_err(|error| Broken(error.into()))?;
        self.rest()
    }
}

// === impl Singer ===

impl Singer {
    /// A step of every song, and the sound of sections that are finished by it.
    fn step(&mut self, rows: &mut [&mut Row]) -> candle_core::Result<()> {
        self.advance(&mut rows.iter_mut().map(|row| &mut row.song).collect::<Vec<_>>())?;
        rows.iter_mut().try_for_each(|row| row.render(&mut self.decoder))
    }

    /// A token of every section that is sung, and then one of every block that is refined. Stages that take turns finish what they
    /// began: then one of them alone has anything in memory.
    fn advance(&mut self, songs: &mut [&mut Song]) -> candle_core::Result<()> {
        let together = self.stages.are_together();
        let refining = songs.iter().any(|song| song.blocks() > 0);
        let singing = (together || !refining) && songs.iter().any(|song| song.has_to_sing());
        if singing {
            self.sing(songs)?;
        }
        let refining = (together || !singing) && songs.iter().any(|song| song.has_to_refine());
        if refining { self.refine(songs) } else { Ok(()) }
    }

    fn sing(&mut self, songs: &mut [&mut Song]) -> candle_core::Result<()> {
        let stage = self.stages.first()?;
        songs.iter_mut().try_for_each(|song| song.open(stage))?;
        stage.step(&mut songs.iter_mut().filter_map(|song| song.singing()).collect::<Vec<_>>())?;
        songs.iter_mut().for_each(|song| song.hear(&stage.ids));
        Ok(())
    }

    fn refine(&mut self, songs: &mut [&mut Song]) -> candle_core::Result<()> {
        let stage = self.stages.second()?;
        let mut room = MOST_BLOCKS.saturating_sub(songs.iter().map(|song| song.blocks()).sum());
        for song in songs.iter_mut() {
            let before = song.blocks();
            song.begin_blocks(stage, room)?;
            room -= song.blocks() - before;
        }
        stage.step(&mut songs.iter_mut().flat_map(|song| song.refining()).collect::<Vec<_>>())
    }

    fn song(&self, ask: &Synthesize) -> Result<Song, SpeechError> {
        let options = SongOptions::new(&ask.options, self.top_k)?;
        let lyrics = Lyrics::parse(&ask.text)?;
        let reference = self.references.get(ask.options.voice.as_ref(), options.prompt, &self.decoder)?;
        let prompter = Prompter { words: &self.words };
        let sections = lyrics.sections.iter().take(options.sections(lyrics.sections.len())).enumerate();
        let mut prompts: Vec<_> = sections.map(|(at, section)| prompter.section(section, at == 0)).collect();
        if let Some(first) = prompts.first_mut() {
            let head = prompter.head(&options.genre, &lyrics, reference.as_ref());
            first.splice(..0, head);
        }
        let told = format!("{options:?} {prompts:?}");
        let identity = checkpoint::identity([self.fingerprint.as_bytes(), told.as_bytes()]);
        let plan = SongPlan { prompts, options, positions: self.positions, block: BLOCK, identity, memory: 0 };
        check_room(&plan)?;
        let plan = SongPlan { memory: self.memory(&plan), ..plan };
        let earlier = ask.checkpoint.as_ref().and_then(|earlier| FinishedSections::read(earlier, &plan.identity));
        if ask.checkpoint.is_some() && earlier.is_none() {
            tracing::info!("a checkpoint is of another song or another model: the song begins anew");
        }
        Ok(Song::new(plan, earlier, &self.words.ids))
    }

    /// Bytes of keys and values that a song takes at most.
    fn memory(&self, plan: &SongPlan) -> u64 {
        let [first, second] = plan.most_positions();
        let (first, second) = (first as u64 * self.position_bytes[0], second as u64 * self.position_bytes[1]);
        if self.stages.are_together() { first + second } else { first.max(second) }
    }

    fn warm_up(&mut self) -> Result<(), SpeechError> {
        let mut options = SynthesizeOptions { seed: Some(1), ..SynthesizeOptions::default() };
        options.options.insert("max_new_tokens".to_owned(), WARM_UP_TOKENS.into());
        options.instructions = Some(WARM_UP.1.to_owned());
        let mut song = self.song(&Synthesize { text: WARM_UP.0.to_owned(), options, ..Synthesize::default() })?;
        let mut rendering = Rendering::default();
        loop {
            self.advance(&mut [&mut song])?;
            if song.lost() {
                return Err(candle_core::Error::msg("the networks give no numbers").into());
            }
            if let Some(section) = song.finish_section() {
                rendering.advance(&mut self.decoder, song.codes(section.frames), section.over)?;
                return Ok(());
            }
        }
    }
}

/// Whether all that comes before the first section can be read at once.
fn check_room(plan: &SongPlan) -> Result<(), SpeechError> {
    let (found, room) = (plan.prompts.first().map_or(0, Vec::len), plan.room());
    if found <= room {
        return Ok(());
    }
    let message = format!(
        "lyrics, genre and recordings take {found} positions of the model, and {room} are left beside the sound of a section; \
         shorter lyrics, less of a recording, or a lower max_new_tokens would be right"
    );
    Err(SpeechError::invalid("text", message))
}

// === impl Row ===

impl Row {
    fn new(request: Request<Synthesize>, song: Song) -> Self {
        let (rendering, ready) = (Rendering::default(), VecDeque::from([SpeechEvent::Progress(song.progress())]));
        Self { request, song, rendering, ready, samples: 0, steps: 0, over: false }
    }

    /// What is ready, as far as there is room for it.
    fn hand_out(&mut self) {
        while self.request.has_room()
            && let Some(event) = self.ready.pop_front()
        {
            self.request.emit(event);
        }
    }

    /// Whether there is something to be done for it: not while what was done is still to be taken, unless a stage has it in hand.
    fn can_go_on(&self) -> bool {
        !self.over && (self.song.is_midway() || (self.ready.is_empty() && self.request.has_room()))
    }

    fn is_over(&self) -> bool {
        self.song.lost() || (self.over && self.ready.is_empty()) || self.request.over().is_some()
    }

    fn end(self) {
        match self.request.over() {
            Some(error) => self.request.fail(error),
            None if self.song.lost() => self.request.fail(RequestError::Broken),
            None => {
                let summary = SpeechSummary {
                    seconds: self.samples as f64 / f64::from(RATE),
                    tokens: self.song.tokens(),
                    seed: Some(self.song.plan.options.seed),
                    ..SpeechSummary::default()
                };
                self.request.finish(SpeechEvent::Done(summary));
            }
        }
    }

    /// The sound of a section that is finished, and how far the song is.
    fn render(&mut self, decoder: &mut SongDecoder) -> candle_core::Result<()> {
        self.steps += 1;
        let Some(section) = self.song.finish_section() else {
            if self.steps % PROGRESS == 1 && self.ready.is_empty() {
                self.ready.push_back(SpeechEvent::Progress(self.song.progress()));
            }
            return Ok(());
        };
        self.ready.extend(section.checkpoint.map(SpeechEvent::Checkpoint));
        self.ready.push_back(SpeechEvent::Progress(self.song.progress()));
        if let Some(stems) = self.rendering.advance(decoder, self.song.codes(section.frames), section.over)? {
            self.samples += stems.mix.len();
            self.make_ready(&stems);
        }
        self.over = section.over;
        Ok(())
    }

    /// The stems that are asked for, second by second.
    fn make_ready(&mut self, stems: &Stems) {
        let asked = &self.request.ask().options.stems;
        let wanted: Vec<&'static str> = match asked.is_empty() {
            true => STEMS[..1].to_vec(),
            false => asked.iter().filter_map(|name| STEMS.iter().find(|stem| *stem == name)).copied().collect(),
        };
        for start in (0..stems.mix.len()).step_by(PIECE) {
            for (at, name) in wanted.iter().enumerate() {
                let sound = match *name {
                    "vocals" => &stems.vocals,
                    "instrumental" => &stems.instrumental,
                    _ => &stems.mix,
                };
                let pcm = Pcm::new(sound[start..(start + PIECE).min(sound.len())].to_vec(), RATE);
                self.ready.push_back(if at == 0 { SpeechEvent::Audio(pcm) } else { SpeechEvent::Stem(name, pcm) });
            }
        }
    }
}
