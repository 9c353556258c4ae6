//! The table of models: as many columns as there is room for.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Rect},
    style::{Modifier, Style},
    text::Text,
    widgets::{Cell, Row as Line, StatefulWidget, Table, TableState},
};

use super::colour::of_state;
use crate::cli::{
    top::figures::{Dashboard, Row, ago},
    units::{bytes, factor, span},
};

/// Between two columns.
const GAP: u16 = 2;
/// Letters of a revision that tell it from others.
const REVISION: usize = 10;

struct Column {
    title: &'static str,
    /// Those with the least go first where there is no room for all.
    worth: u8,
    is_number: bool,
    text: fn(&Row) -> String,
}

const COLUMNS: [Column; 12] = [
    Column { title: "MODEL", worth: 12, is_number: false, text: name },
    Column { title: "STATE", worth: 11, is_number: false, text: Row::state },
    Column { title: "DEVICE", worth: 3, is_number: false, text: |row| row.model.device.clone().unwrap_or_default() },
    Column { title: "MEMORY", worth: 6, is_number: true, text: |row| shown(row.model.memory(), bytes) },
    Column { title: "REVISION", worth: 1, is_number: false, text: revision },
    Column { title: "LAST USE", worth: 5, is_number: true, text: last_use },
    Column { title: "IN FLIGHT", worth: 10, is_number: true, text: |row| row.in_flight.to_string() },
    Column { title: "QUEUE", worth: 9, is_number: true, text: |row| row.model.queue_depth.to_string() },
    Column { title: "P50", worth: 7, is_number: true, text: |row| shown(row.p50, span) },
    Column { title: "P95", worth: 8, is_number: true, text: |row| shown(row.p95, span) },
    Column { title: "RT FACTOR", worth: 4, is_number: true, text: |row| shown(row.real_time_factor, factor) },
    Column { title: "FIRST SOUND", worth: 2, is_number: true, text: |row| shown(row.first_sound, span) },
];

pub(super) fn draw(board: &Dashboard, selected: Option<&str>, area: Rect, buffer: &mut Buffer) {
    let columns = fitting(board, area.width);
    let cell = |column: &Column, text: String| {
        let text = Text::from(text);
        Cell::from(if column.is_number { text.right_aligned() } else { text })
    };
    let head = columns.iter().map(|(column, _)| cell(column, column.title.to_owned()));
    let line = |row: &Row| {
        let cells = columns.iter().map(|(column, _)| {
            let cell = cell(column, (column.text)(row));
            if column.title == "STATE" { cell.style(of_state(row)) } else { cell }
        });
        Line::new(cells.collect::<Vec<_>>())
    };
    let table = Table::new(board.rows.iter().map(line), columns.iter().map(|(_, width)| Constraint::Length(*width)))
        .header(Line::new(head).style(Style::new().bold()))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .column_spacing(GAP);
    let at = board.rows.iter().position(|row| Some(row.model.name.as_str()) == selected);
    table.render(area, buffer, &mut TableState::new().with_selected(at));
}

/// Which columns there is room for, and how wide each is. The first two are always there, and cut where they must be.
fn fitting(board: &Dashboard, width: u16) -> Vec<(&'static Column, u16)> {
    let letters = |text: &str| text.chars().count() as u16;
    let natural = |column: &Column| {
        let cells = board.rows.iter().map(|row| letters(&(column.text)(row)));
        cells.max().unwrap_or(0).max(letters(column.title))
    };
    let mut columns: Vec<_> = COLUMNS.iter().map(|column| (column, natural(column))).collect();
    let taken = |columns: &[(&Column, u16)]| columns.iter().map(|(_, width)| width + GAP).sum::<u16>() - GAP;
    while taken(&columns) > width && columns.len() > 2 {
        let least = (0..columns.len()).min_by_key(|at| columns[*at].0.worth).unwrap_or_default();
        columns.remove(least);
    }
    if taken(&columns) > width {
        let state = columns[1].1.min(width / 2);
        columns[1].1 = state;
        columns[0].1 = width.saturating_sub(state + GAP);
    }
    columns
}

fn name(row: &Row) -> String {
    let mark = if row.is_default { " *" } else { "" };
    format!("{}{mark}", row.model.name)
}

fn revision(row: &Row) -> String {
    row.model.revision.iter().flat_map(|revision| revision.chars().take(REVISION)).collect()
}

fn last_use(row: &Row) -> String {
    match row.idle {
        Some(seconds) => ago(seconds),
        None if row.in_flight > 0.0 => "now".to_owned(),
        None => "–".to_owned(),
    }
}

fn shown(value: Option<f64>, write: fn(f64) -> String) -> String {
    value.map_or_else(|| "–".to_owned(), write)
}
