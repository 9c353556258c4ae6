//! Which model is measured, and at which task.

use crate::{
    app,
    catalog::{Catalog, Entry},
    cli::{
        exit::WrongUsage,
        pull::{is_place, named},
        server::{Model, Status},
    },
    model::Availability,
    speech::TaskKind,
};

/// A model, and what it is asked to do.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub model: String,
    pub task: TaskKind,
    /// Whether it is on a Sconce, which tells how it is.
    pub is_ours: bool,
    /// It is in memory already.
    pub is_ready: bool,
}

/// What there is by a configuration, and the model that is asked for where nobody has to have configured it.
pub(super) fn catalog(config: &mut app::Config, asked: Option<&str>) -> anyhow::Result<Catalog> {
    config.catalog.models.extend(asked.filter(|name| is_place(name)).map(named));
    Ok(Catalog::new(&config.catalog).map_err(app::BuildError::Catalog)?)
}

// === impl Subject ===

impl Subject {
    pub fn of_entry(entry: &Entry, task: Option<TaskKind>) -> anyhow::Result<Self> {
        if let Availability::Unsupported(reason) = &entry.availability {
            anyhow::bail!("{} cannot be served here: {reason}", entry.name);
        }
        let model = entry.name.to_string();
        let task = chosen(&model, entry.tasks(), task)?;
        Ok(Self { model, task, is_ours: true, is_ready: false })
    }

    /// A model of a server that says what it has.
    pub fn of_status(status: &Status, asked: Option<&str>, task: Option<TaskKind>) -> Result<Self, WrongUsage> {
        let asked = asked.unwrap_or(&status.default);
        let is = |name: &str| name.eq_ignore_ascii_case(asked);
        let model = status.models.iter().find(|model| is(&model.name) || model.aliases.iter().any(|alias| is(alias)));
        let model = model.ok_or_else(|| unknown(asked, &status.models))?;
        let tasks: Option<Vec<TaskKind>> = model.tasks.as_ref().map(|names| {
            let is_among = |task: &TaskKind| names.iter().any(|name| name == task.as_str());
            TaskKind::ALL.into_iter().filter(is_among).collect()
        });
        let task = chosen(&model.name, tasks.as_deref(), task)?;
        Ok(Self { model: model.name.clone(), task, is_ours: true, is_ready: model.status == "ready" })
    }

    /// A model of a server of another kind.
    pub fn of_peer(model: &str, task: TaskKind) -> Self {
        Self { model: model.to_owned(), task, is_ours: false, is_ready: true }
    }
}

/// The task that is asked for, or the first that the model does. As long as nobody knows what it does, it is taken to hear.
fn chosen(model: &str, tasks: Option<&[TaskKind]>, asked: Option<TaskKind>) -> Result<TaskKind, WrongUsage> {
    let Some(tasks) = tasks else { return Ok(asked.unwrap_or(TaskKind::Transcribe)) };
    let can = || tasks.iter().map(|task| task.as_str()).collect::<Vec<_>>().join(", ");
    match asked {
        Some(task) if !tasks.contains(&task) => Err(WrongUsage(format!("--task {task}: {model} does {}", can()))),
        Some(task) => Ok(task),
        None => tasks
            .first()
            .copied()
            .ok_or_else(|| WrongUsage(format!("nothing is known that {model} does; name a --task"))),
    }
}

/// With the nearest of those that there are.
fn unknown(asked: &str, models: &[Model]) -> WrongUsage {
    let short = |name: &str| name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let asked_short = short(asked);
    let likeness = |model: &&Model| strsim::normalized_damerau_levenshtein(&asked_short, &short(&model.name));
    let nearest = models.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let nearest = nearest.map_or_else(String::new, |model| format!("; did you mean {:?}?", model.name));
    WrongUsage(format!("the server has no model {asked:?}{nearest}"))
}
