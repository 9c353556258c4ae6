//! The effective configuration and where each value came from, as `check-config` prints it.

use std::fmt;

use super::Origin;

/// The effective value of every setting, in the order of the documentation. Holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub rows: Vec<Row>,
}

/// The effective value of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The setting, as the file names it.
    pub name: String,
    /// `***` for a secret.
    pub value: String,
    pub origin: Origin,
}

// === impl Report ===

impl Report {
    pub fn get(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// What is not as it is by default.
    pub fn changed(&self) -> Self {
        Self { rows: self.rows.iter().filter(|row| row.origin != Origin::Default).cloned().collect() }
    }

    pub(super) fn set(&mut self, name: &str, value: String, origin: Origin, secret: bool) {
        let value = if secret && origin != Origin::Default { "***".to_owned() } else { value };
        let row = Row { name: name.to_owned(), value, origin };
        match self.rows.iter_mut().find(|row| row.name == name) {
            Some(old) => *old = row,
            None => self.rows.push(row),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        let values = self.rows.iter().map(|row| row.value.len()).max().unwrap_or(0);
        for Row { name, value, origin } in &self.rows {
            writeln!(f, "{name:names$}  {value:values$}  {origin}")?;
        }
        Ok(())
    }
}
