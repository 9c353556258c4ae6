//! `sconce verify`: is everything on disk what it should be?

use std::process::ExitCode;

use super::{out::say, pull::resolve};
use crate::{
    app::{self, App},
    speech::ModelName,
    store::{FileReport, FileState},
};

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// Names or aliases; everything on this machine if none is given
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
}

impl Verify {
    pub async fn run(self, config: app::Config) -> anyhow::Result<ExitCode> {
        let app = App::build(config)?;
        let mut bad = 0;
        for (name, report) in reports(&app, &self.models).await? {
            bad += usize::from(report.bad());
            let FileReport { file, bytes, state, .. } = &report;
            say!("{:9}  {name}  {file}  {bytes} bytes{}", word(state), reason(state));
        }
        app.stop().await;
        if bad > 0 {
            eprintln!("error: {bad} files are not what they should be; `sconce pull` fetches them again");
        }
        Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Every file that is to be checked, with the name of its model.
async fn reports(app: &App, names: &[String]) -> anyhow::Result<Vec<(String, FileReport)>> {
    if names.is_empty() {
        let reports = app.store().verify_all().await?;
        anyhow::ensure!(!reports.is_empty(), "no model is on this machine; `sconce pull` fetches the configured ones");
        return Ok(reports);
    }
    let mut all = Vec::new();
    for name in resolve(&app.catalog(), names)? {
        let reports = of_model(app, &name).await?;
        all.extend(reports.into_iter().map(|report| (name.to_string(), report)));
    }
    Ok(all)
}

async fn of_model(app: &App, name: &ModelName) -> anyhow::Result<Vec<FileReport>> {
    let catalog = app.catalog();
    let entry = catalog.resolve(Some(name.as_str()))?;
    let mut reports = Vec::new();
    for (_, source) in &entry.parts {
        reports.extend(app.store().verify(source).await?);
    }
    anyhow::ensure!(!reports.is_empty(), "{name} is not on this machine; `sconce pull {name}` fetches it");
    Ok(reports)
}

fn word(state: &FileState) -> &'static str {
    match state {
        FileState::Whole => "ok",
        FileState::Missing => "missing",
        FileState::Damaged(_) => "damaged",
        FileState::Unknown => "unchecked",
    }
}

fn reason(state: &FileState) -> String {
    match state {
        FileState::Damaged(reason) => format!("  ({reason})"),
        _ => String::new(),
    }
}
