//! The layer of the command line: a flag for each setting that has one.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, ArgMatches, Command, error::Error, value_parser};

use super::{
    Origin,
    layer::{Given, Values},
    models,
    setting::{Flag, Setting},
    settings::SETTINGS,
    value::Raw,
};
use crate::app::Config;

/// What the command line says about the configuration. Flatten it into a command: the flags are made from the table
/// of settings.
#[derive(Clone, Default)]
pub struct Overrides {
    config: Option<PathBuf>,
    given: BTreeMap<&'static str, Vec<String>>,
}

/// Flags that only a server obeys.
const SERVING: [&str; 4] = ["load-mode", "host", "port", "max-resident"];

/// `--config FILE`.
const CONFIG: &str = "config";

// === impl Overrides ===

impl Overrides {
    /// The configuration file, if the command line names one.
    pub fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// Takes what only a server obeys out of the help of all other commands. They take it still: a script may give every
    /// command the same flags.
    pub fn of_servers(command: Command, servers: &[&str]) -> Command {
        command.mut_subcommands(|command| match servers.contains(&command.get_name()) {
            true => command,
            false => command.args(flags().filter(|(_, flag)| SERVING.contains(&flag.name)).map(hidden)),
        })
    }

    /// The models that `--model` lists, and its name.
    pub(super) fn models(&self) -> Option<(&[String], Origin)> {
        let (_, flag) = flags().find(|(setting, _)| setting.key == "default_model")?;
        self.given.get(flag.name).map(|list| (list.as_slice(), Origin::Flag(flag.name)))
    }

    pub(super) fn values(&self) -> Values {
        flags()
            .filter_map(|(setting, flag)| {
                let texts = self.given.get(flag.name)?;
                let raw = match setting.key {
                    "default_model" => Raw::Text(texts.iter().find_map(|list| models::first(list))?),
                    _ => Raw::Text(texts.last()?.clone()),
                };
                Some((setting.key, Given { raw, origin: Origin::Flag(flag.name) }))
            })
            .collect()
    }
}

impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.given.keys()).finish()
    }
}

impl clap::Args for Overrides {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new(CONFIG)
            .long(CONFIG)
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .global(true)
            .help("Configuration file; else sconce.toml here, else /etc/sconce/sconce.toml");
        command.arg(config).args(flags().map(|(setting, flag)| argument(setting, flag)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Overrides {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut overrides = Self::default();
        overrides.update_from_arg_matches(matches)?;
        Ok(overrides)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.config = matches.get_one(CONFIG).cloned().or(self.config.take());
        for (_, flag) in flags() {
            if let Some(values) = matches.get_many::<String>(flag.name) {
                self.given.insert(flag.name, values.cloned().collect());
            }
        }
        Ok(())
    }
}

fn flags() -> impl Iterator<Item = (&'static Setting<Config>, Flag)> {
    SETTINGS.iter().filter_map(|setting| setting.flag.map(|flag| (setting, flag)))
}

fn hidden((setting, flag): (&'static Setting<Config>, Flag)) -> Arg {
    argument(setting, flag).hide(true)
}

fn argument(setting: &'static Setting<Config>, flag: Flag) -> Arg {
    let argument = Arg::new(flag.name).long(flag.name).value_name(flag.value).help(help(setting)).global(true);
    match flag.value {
        "BOOL" => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ if setting.key == "default_model" => argument.action(ArgAction::Append),
        _ => argument,
    }
}

/// The first sentence of the setting's documentation, and which variable says the same.
fn help(setting: &Setting<Config>) -> String {
    let sentence = setting.doc.split_inclusive(['.', ';', ':']).next().unwrap_or(setting.doc);
    let sentence = sentence.trim_end_matches(['.', ';', ':']).replace('`', "");
    let variable = setting
        .plain
        .last()
        .or(setting.hints.first())
        .map_or_else(|| setting.variable(), |plain| plain.name.to_owned());
    format!("{sentence} ({}; default {}; env {variable})", setting.slot.expected(), setting.default)
}
