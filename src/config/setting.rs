//! What a setting is: one line of the table that parsing, `check-config`, the command line and the documentation read.

use super::value::{Kind, Raw};

/// A setting of `C`: the whole configuration, or one model of it.
pub(super) struct Setting<C: 'static> {
    /// In the file, and the base of its `SCONCE_…` name.
    pub key: &'static str,
    /// As it would be written.
    pub default: &'static str,
    /// What it means and why the default is what it is, in Markdown.
    pub doc: &'static str,
    pub slot: &'static (dyn Slot<C> + Sync),
    /// Names of the environment that containers are commonly given, strongest first.
    pub plain: &'static [Plain],
    /// Names of the environment that only replace the default: weaker than the file. Strongest first.
    pub hints: &'static [Plain],
    pub flag: Option<Flag>,
    pub secret: bool,
    /// Applies when the configuration is read anew, without a restart.
    pub live: bool,
}

/// A variable that is not ours, and how its text becomes the text of a setting.
#[derive(Clone, Copy)]
pub(super) struct Plain {
    pub name: &'static str,
    /// `None`: the variable says nothing.
    pub read: fn(&str) -> Option<String>,
}

/// `--name VALUE` of the command line.
#[derive(Clone, Copy)]
pub(super) struct Flag {
    pub name: &'static str,
    pub value: &'static str,
}

/// Where a value goes.
pub(super) trait Slot<C> {
    /// Reads the value, puts it in place and returns how it is written canonically; or else what would be right.
    fn put(&self, target: &mut C, raw: &Raw) -> Result<String, String>;

    fn expected(&self) -> String;
}

/// A value that is always there.
pub(super) struct To<C: 'static, T: 'static>(pub &'static Kind<T>, pub fn(&mut C, T));

/// A value that may be absent, which the word says.
pub(super) struct Maybe<C: 'static, T: 'static>(pub &'static str, pub &'static Kind<T>, pub fn(&mut C, Option<T>));

// === impl Setting ===

impl<C> Setting<C> {
    pub const fn new(
        key: &'static str,
        default: &'static str,
        slot: &'static (dyn Slot<C> + Sync),
        doc: &'static str,
    ) -> Self {
        Self { key, default, doc, slot, plain: &[], hints: &[], flag: None, secret: false, live: false }
    }

    pub const fn plain(mut self, names: &'static [Plain]) -> Self {
        self.plain = names;
        self
    }

    pub const fn hints(mut self, names: &'static [Plain]) -> Self {
        self.hints = names;
        self
    }

    pub const fn flag(mut self, name: &'static str, value: &'static str) -> Self {
        self.flag = Some(Flag { name, value });
        self
    }

    pub const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    pub const fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// `server.port` → `SCONCE_SERVER__PORT`.
    pub fn variable(&self) -> String {
        format!("SCONCE_{}", self.key.replace('.', "__").to_uppercase())
    }
}

// === impl Plain ===

impl Plain {
    /// The text as it is.
    pub const fn same(name: &'static str) -> Self {
        Self { name, read: |text| Some(text.to_owned()) }
    }
}

// === impl Slot for To, Maybe ===

impl<C, T> Slot<C> for To<C, T> {
    fn put(&self, target: &mut C, raw: &Raw) -> Result<String, String> {
        let value = (self.0.parse)(raw).ok_or_else(|| self.expected())?;
        let shown = (self.0.show)(&value);
        (self.1)(target, value);
        Ok(shown)
    }

    fn expected(&self) -> String {
        self.0.expected.to_owned()
    }
}

impl<C, T> Slot<C> for Maybe<C, T> {
    fn put(&self, target: &mut C, raw: &Raw) -> Result<String, String> {
        if matches!(raw, Raw::Text(text) if text.trim().eq_ignore_ascii_case(self.0)) {
            (self.2)(target, None);
            return Ok(self.0.to_owned());
        }
        let value = (self.1.parse)(raw).ok_or_else(|| self.expected())?;
        let shown = (self.1.show)(&value);
        (self.2)(target, Some(value));
        Ok(shown)
    }

    fn expected(&self) -> String {
        format!("{}, or {}", self.1.expected, self.0)
    }
}
