//! Colours of states; the words say the same.

use ratatui::style::{Modifier, Style};

use crate::cli::top::figures::Row;

pub(super) fn of_state(row: &Row) -> Style {
    match row.model.moving().0 {
        "ready" if row.model.failure().is_some() => Style::new().red(),
        "ready" => Style::new().green(),
        "loading" | "downloading" => Style::new().yellow(),
        "failed" => Style::new().red(),
        _ => Style::new().add_modifier(Modifier::DIM),
    }
}
