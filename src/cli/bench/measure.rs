//! The measurement: load, first request, then rounds of levels.

use super::{
    args::Args,
    client::{Answer, Client},
    level::{self, Run},
    loading::{self, Loading},
    report::{About, FirstRequest, Level, Memory, Report},
    subject::Subject,
    vitals::{Reading, Vitals, highest},
    work::Work,
};
use crate::cli::server::{Model, Server};

/// Who measures whom.
pub(super) struct Bench<'a> {
    pub client: Client,
    /// `None`: it is of another kind, and does not tell how it is.
    pub server: Option<&'a Server>,
    pub vitals: Vitals<'a>,
    pub work: Work,
    /// What tells how many tokens an answer has.
    pub tokens: Option<Work>,
    pub subject: Subject,
    /// Numbers of callers.
    pub levels: Vec<usize>,
    pub args: &'a Args,
}

// === impl Bench ===

impl Bench<'_> {
    pub async fn run(self, about: About) -> anyhow::Result<Report> {
        let before = self.vitals.read().await;
        let loading = self.load().await?;
        let loaded = self.vitals.read().await;
        let model = self.status().await?;
        let first = self.first().await?;
        let tokens = self.count_tokens().await;
        let mut peak = highest(loaded.peak, first.peak);
        let runs = self.rounds(&mut peak).await;
        let levels = self.levels.iter().zip(&runs).map(|(callers, runs)| Level::of(*callers, runs, tokens)).collect();
        let peak = highest(peak, self.vitals.read().await.peak);
        let memory = Memory { before: before.resident, loaded: loaded.resident, peak };
        Ok(Report::new(about, model, loading, first, tokens, levels, memory))
    }

    /// `None`: it is there, or nobody can tell.
    async fn load(&self) -> anyhow::Result<Option<Loading>> {
        if self.subject.is_ready {
            return Ok(None);
        }
        let model = &self.subject.model;
        let tell = |phase: &str| tell(format_args!("{model}: {phase}"));
        loading::load(&self.client, model, tell).await.map(Some)
    }

    async fn status(&self) -> anyhow::Result<Option<Model>> {
        let Some(server) = self.server else { return Ok(None) };
        Ok(server.status().await?.models.into_iter().find(|model| model.name == self.subject.model))
    }

    /// One that does not get through ends it all: what is wrong with it would be wrong with every other.
    async fn first(&self) -> anyhow::Result<FirstRequest> {
        tell(format_args!("the first request"));
        let answer = self.client.ask(&self.work, self.args.pace().patience).await;
        let Answer { first, whole, sound } = answer?;
        anyhow::ensure!(sound > 0.0, "there is no sound in the answer");
        let peak = self.vitals.read().await.peak;
        Ok(FirstRequest { first_piece: first.as_secs_f64(), whole: whole.as_secs_f64(), sound, peak })
    }

    /// Of an answer to the same request. A model that does not tell says so by an error, which is no fault.
    async fn count_tokens(&self) -> Option<f64> {
        let answer = tokio::time::timeout(self.args.pace().patience, self.client.json(self.tokens.as_ref()?)).await;
        Some(answer.ok()?.ok()?["logprobs"].as_array()?.len() as f64).filter(|tokens| *tokens > 0.0)
    }

    /// The runs of each level, which take turns, so that a noisy machine is noisy to all.
    async fn rounds(&self, peak: &mut Option<f64>) -> Vec<Vec<Run>> {
        let mut runs: Vec<Vec<Run>> = self.levels.iter().map(|_| Vec::new()).collect();
        for round in 1..=self.args.rounds {
            for (callers, runs) in self.levels.iter().zip(&mut runs) {
                let run = self.level(*callers, peak).await;
                tell(format_args!("round {round} of {}: {}", self.args.rounds, told(*callers, &run)));
                runs.push(run);
            }
        }
        runs
    }

    async fn level(&self, callers: usize, peak: &mut Option<f64>) -> Run {
        let Reading { processor: before, .. } = self.vitals.read().await;
        let running = level::run(&self.client, &self.work, callers, self.args.pace());
        let run = tokio::select! {
            run = running => run,
            never = self.vitals.watch(peak) => match never {},
        };
        let Reading { processor: after, peak: now, .. } = self.vitals.read().await;
        *peak = highest(*peak, now);
        Run { processor: before.zip(after).map(|(before, after)| after - before), ..run }
    }
}

/// How far it is, for a person who waits.
fn tell(what: std::fmt::Arguments<'_>) {
    eprintln!("{what}");
}

fn told(callers: usize, run: &Run) -> String {
    let failures = match run.failures.len() {
        0 => String::new(),
        count => format!(", {count} without an answer"),
    };
    let (answers, seconds) = (run.answers.len(), run.took.as_secs_f64());
    format!("callers {callers}, answers {answers}{failures}, {seconds:.1} s")
}
