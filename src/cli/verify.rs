//! `sconce verify`: is everything on disk what it should be?

use std::process::ExitCode;

use super::pull::resolve;
use crate::{
    app::{self, App},
    speech::ModelName,
    store::{FileReport, FileState},
};

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// Names or aliases; the configured models if none is given
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
}

impl Verify {
    pub async fn run(self, config: app::Config) -> anyhow::Result<ExitCode> {
        let app = App::build(config)?;
        let mut bad = 0;
        for name in resolve(app.catalog(), &self.models)? {
            for report in reports(&app, &name).await? {
                bad += usize::from(report.bad());
                println!(
                    "{:9}  {name}  {}  {} bytes{}",
                    word(&report.state),
                    report.file,
                    report.bytes,
                    reason(&report.state)
                );
            }
        }
        app.stop().await;
        if bad > 0 {
            eprintln!("error: {bad} files are not what they should be; `sconce pull` fetches them again");
        }
        Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn reports(app: &App, name: &ModelName) -> anyhow::Result<Vec<FileReport>> {
    let entry = app.catalog().resolve(Some(name.as_str()))?;
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
