//! Where configuration comes from. Gathering it is the only part that looks at the process; tests make their own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Environment, Fault, Origin, Overrides,
    environment::{CONFIG, first},
    file,
    layer::Layer,
    models,
    report::Report,
    setting::Plain,
    value::Raw,
};
use crate::{app::Config, catalog::ModelConfig, model::Family, store::Secret};

/// Everything that a configuration is made from.
#[derive(Default)]
pub struct Sources {
    /// The kinds of models that the program can serve, where they are not those of the library.
    pub families: Option<&'static [&'static dyn Family]>,
    pub environment: Environment,
    pub overrides: Overrides,
    /// Configuration files to look for when nothing names one; the first that exists is read.
    pub search: Vec<PathBuf>,
}

/// The only folder for configuration that is neither here nor named.
const SYSTEM_FILE: &str = "/etc/sconce/sconce.toml";

const MODEL_ID: &str = "MODEL_ID";

/// Where the hub's tools keep their token, strongest first.
const TOKEN_FILES: [Plain; 4] = [
    Plain::same("HF_TOKEN_PATH"),
    Plain { name: "HF_HOME", read: |home| Some(format!("{home}/token")) },
    Plain { name: "XDG_CACHE_HOME", read: |cache| Some(format!("{cache}/huggingface/token")) },
    Plain { name: "HOME", read: |home| Some(format!("{home}/.cache/huggingface/token")) },
];

/// Where the hub's tools keep their cache, strongest first.
const TOOL_CACHES: [Plain; 4] = [
    Plain::same("HF_HUB_CACHE"),
    Plain { name: "HF_HOME", read: |home| Some(format!("{home}/hub")) },
    Plain { name: "XDG_CACHE_HOME", read: |cache| Some(format!("{cache}/huggingface/hub")) },
    Plain { name: "HOME", read: |home| Some(format!("{home}/.cache/huggingface/hub")) },
];
/// Where RunPod keeps the models that an endpoint names.
const RUNPOD_CACHE: &str = "/runpod-volume/huggingface-cache/hub";

/// What Amazon's platforms tell a container of its identity. They change together and no person writes them, so they are
/// handed on as they are.
const IDENTITY: [&str; 8] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_ENDPOINT_URL_STS",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
];

// === impl Sources ===

impl Sources {
    /// Those of this process.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn of_process(overrides: Overrides) -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect();
        let search = vec!["sconce.toml".into(), SYSTEM_FILE.into()];
        Self { families: None, environment, overrides, search }
    }

    /// The models that `--model` or else `MODEL_ID` lists.
    pub(super) fn models(&self) -> Vec<(ModelConfig, Origin)> {
        if let Some((list, origin)) = self.overrides.models() {
            return models::listed(list, &origin);
        }
        let list = self.environment.get(MODEL_ID).cloned();
        models::listed(&Vec::from_iter(list), &Origin::Variable(MODEL_ID.to_owned()))
    }

    /// The layer of the file. A file that is named must be there.
    pub(super) fn file(&self, faults: &mut Vec<Fault>) -> Layer {
        let (path, origin) = match self.named_file() {
            Some(named) => named,
            None => match self.search.iter().find(|path| path.is_file()) {
                Some(found) => (found.clone(), Origin::File { path: found.clone(), line: 1 }),
                None => return Layer::default(),
            },
        };
        match fs::read_to_string(&path) {
            Ok(text) => file::read(&path, &text, faults),
            Err(error) => {
                let problem = format!("the configuration file {} cannot be read: {error}", path.display());
                faults.push(Fault { origin, problem });
                Layer::default()
            }
        }
    }

    /// Finds the caches that other tools filled, if no layer says where they are.
    pub(super) fn other_caches(&self, config: &mut Config, report: &Report) {
        if report.get("store.other_caches").is_some_and(|row| row.value != "found") {
            return;
        }
        let runpod = self.environment.keys().any(|name| name.starts_with("RUNPOD_")).then(|| RUNPOD_CACHE.into());
        let tools = first(&self.environment, &TOOL_CACHES).and_then(|given| match given.raw {
            Raw::Text(path) => Some(PathBuf::from(path)),
            Raw::List(_) => None,
        });
        let known = |path: &PathBuf| *path == config.store.cache_dir || config.store.read_only.contains(path);
        config.store.other_caches = runpod.into_iter().chain(tools).filter(|path| !known(path)).collect();
    }

    /// The folders in which programs are looked for.
    pub(super) fn path(&self) -> Vec<PathBuf> {
        let folders = |path| std::env::split_paths(path).filter(|folder: &PathBuf| folder.is_absolute()).collect();
        self.environment.get("PATH").map(folders).unwrap_or_default()
    }

    /// Those of these variables that there are.
    pub(super) fn variables<'a>(&self, names: impl Iterator<Item = &'a String>) -> BTreeMap<String, String> {
        names.filter_map(|name| Some((name.clone(), self.environment.get(name)?.clone()))).collect()
    }

    /// The identity that Amazon's platform gives this process.
    pub(super) fn identity(&self) -> BTreeMap<String, String> {
        let given = |name: &str| self.environment.get(name).filter(|value| !value.is_empty()).cloned();
        IDENTITY.iter().filter_map(|name| Some(((*name).to_owned(), given(name)?))).collect()
    }

    fn named_file(&self) -> Option<(PathBuf, Origin)> {
        let by_flag = || Some((self.overrides.config()?.to_owned(), Origin::Flag("config")));
        let by_variable = || {
            let path = self.environment.get(CONFIG).filter(|path| !path.is_empty())?;
            Some((path.into(), Origin::Variable(CONFIG.to_owned())))
        };
        by_flag().or_else(by_variable)
    }

    /// Reads the token that the hub's own tools left, if no layer gives one. Only a file that is named must be there.
    pub(super) fn token(&self, config: &mut Config, report: &mut Report, faults: &mut Vec<Fault>) {
        let settled = report.get("store.token").is_none_or(|row| row.origin != Origin::Default);
        let Some(given) = first(&self.environment, &TOKEN_FILES).filter(|_| !settled) else { return };
        let Raw::Text(path) = given.raw else { return };
        match token(Path::new(&path)) {
            Ok(Some(token)) => {
                config.store.token = Some(Secret(token));
                report.set("store.token", String::new(), Origin::TokenFile(path.into()), true);
            }
            Ok(None) => {}
            Err(error) if given.origin == Origin::Variable(TOKEN_FILES[0].name.to_owned()) => {
                let problem = format!("the token file {path} cannot be read: {error}");
                faults.push(Fault { origin: given.origin, problem });
            }
            // Nobody asked for this file, and a public model needs no token.
            Err(_) => {}
        }
    }
}

/// `None`: the file is empty.
fn token(path: &Path) -> std::io::Result<Option<String>> {
    let text = fs::read_to_string(path)?;
    Ok(Some(text.trim().to_owned()).filter(|token| !token.is_empty()))
}
