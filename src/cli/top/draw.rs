//! What is known, as a picture of letters: for the terminal, or as text.

mod colour;
mod table;

use std::time::Instant;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::{Modifier, Style},
    text::Line,
    widgets::Widget,
};

use self::colour::of_state;
use super::{
    figures::{Dashboard, DeviceMemory, ago},
    screen::Screen,
};
use crate::cli::units::{bytes, span, wrapped};

/// Columns of a text that nobody's terminal bounds.
const WIDE: u16 = 200;
/// Lines that the table keeps where there is room for little: its head and two models.
const LEAST_TABLE: u16 = 3;
const KEYS: &str = "q quit · ? keys";
const ALL_KEYS: &str = "q, Esc or Ctrl-C quit · ↑ ↓ or k j select a model · s sort by the next of state, name, load, latency, \
                        memory, last use · ? fewer keys";

/// Draws all of it into an area.
pub(super) fn frame(screen: &Screen, now: Instant, area: Rect, buffer: &mut Buffer) {
    let width = area.width.into();
    let head = head(screen, now, width);
    let foot = foot(screen, width);
    let Some(board) = screen.board(now) else {
        let rest = put(head, area, buffer);
        put(foot, last_lines(rest, 1), buffer);
        return;
    };
    let below = below(screen, &board, width);
    let rest = put(head, area, buffer);
    let feet = (foot.len() as u16).min(rest.height);
    put(foot, last_lines(rest, feet), buffer);
    let middle = Rect { height: rest.height - feet, ..rest };
    let wanted = board.rows.len() as u16 + 1;
    let height = middle.height.saturating_sub(below.len() as u16).clamp(wanted.min(LEAST_TABLE), wanted);
    let [table, notes] = split(middle, height);
    table::draw(&board, screen.selected.as_deref(), table, buffer);
    put(below, notes, buffer);
}

/// The same as text without an end of the screen: no keys, and nobody to choose a model.
pub(super) fn text(screen: &Screen, now: Instant) -> String {
    let Some(board) = screen.board(now) else { return String::new() };
    let (head, below) = (head(screen, now, WIDE.into()), below(screen, &board, WIDE.into()));
    let rows = board.rows.len() as u16 + 1;
    let area = Rect::new(0, 0, WIDE, head.len() as u16 + rows + below.len() as u16);
    let mut buffer = Buffer::empty(area);
    let [table, notes] = split(put(head, area, &mut buffer), rows);
    table::draw(&board, None, table, &mut buffer);
    put(below, notes, &mut buffer);
    lines(&buffer).map(|line| format!("{line}\n")).collect()
}

/// The lines of a picture, without the blanks at their ends.
pub(super) fn lines(buffer: &Buffer) -> impl Iterator<Item = String> {
    buffer.content().chunks(buffer.area.width.max(1).into()).map(|cells| {
        let line: String = cells.iter().map(|cell| cell.symbol()).collect();
        line.trim_end().to_owned()
    })
}

/// Where and what the server is, what its models take, and what is wrong.
fn head(screen: &Screen, now: Instant, width: usize) -> Vec<Line<'static>> {
    let board = screen.board(now);
    let mut head: Vec<Line<'static>> = match &board {
        Some(board) => paragraph(&title(&screen.url, board), width, Style::new().bold())
            .into_iter()
            .chain(paragraph(&memory(board), width, Style::new()))
            .collect(),
        None => paragraph(&format!("Sconce at {}", screen.url), width, Style::new().bold()),
    };
    match (&screen.trouble, screen.asked()) {
        (Some(trouble), asked) => {
            let since = asked.map(|asked| ago(now.saturating_duration_since(asked).as_secs_f64()));
            let known = since.map(|since| format!(" What is below was so {since}.")).unwrap_or_default();
            head.extend(paragraph(&format!("{}. Trying again.{known}", capital(trouble)), width, Style::new().red()));
        }
        (None, None) => head.extend(paragraph("Asking the server…", width, Style::new())),
        (None, Some(_)) => {}
    }
    head.push(Line::default());
    head
}

fn title(url: &str, board: &Dashboard) -> String {
    let Dashboard { version, server, load_mode, uptime, .. } = board;
    let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let called = if server.is_empty() { String::new() } else { format!(" ({server})") };
    let up = uptime.map(|seconds| format!(" · up {}", span(seconds))).unwrap_or_default();
    format!("Sconce{version} at {url}{called}{up} · load mode {load_mode}")
}

fn memory(board: &Dashboard) -> String {
    let devices = board.devices.iter().map(DeviceMemory::text);
    let process = board.process.map(|taken| format!("whole process {}", bytes(taken)));
    let parts: Vec<_> = devices.chain(process).collect();
    if parts.is_empty() { String::new() } else { format!("Memory: {}", parts.join(" · ")) }
}

/// What stands below the table: the chosen model, the totals, and what is to be said of models.
fn below(screen: &Screen, board: &Dashboard, width: usize) -> Vec<Line<'static>> {
    let chosen = board.rows.iter().find(|row| Some(&row.model.name) == screen.selected.as_ref());
    let mut below = vec![Line::default()];
    if let Some(row) = chosen {
        below.extend(paragraph(&row.details(), width, Style::new().bold()));
    }
    below.extend(paragraph(&board.totals.text(), width, Style::new()));
    for row in &board.rows {
        let text = row.note().unwrap_or_default();
        below.extend(paragraph(&text, width, of_state(row)));
    }
    below
}

fn foot(screen: &Screen, width: usize) -> Vec<Line<'static>> {
    let keys = if screen.help { ALL_KEYS } else { KEYS };
    let text = format!("{keys} · sorted by {}", screen.sort.word());
    paragraph(&text, width, Style::new().add_modifier(Modifier::DIM))
}

fn paragraph(text: &str, width: usize, style: Style) -> Vec<Line<'static>> {
    wrapped(text, width.max(1)).into_iter().map(|line| Line::styled(line, style)).collect()
}

/// Writes lines from the top, as many as there is room for; what is left of the area.
fn put(lines: Vec<Line<'static>>, area: Rect, buffer: &mut Buffer) -> Rect {
    let height = (lines.len() as u16).min(area.height);
    for (line, y) in lines.into_iter().zip(area.y..area.y + height) {
        line.render(Rect { y, height: 1, ..area }, buffer);
    }
    Rect { y: area.y + height, height: area.height - height, ..area }
}

fn split(area: Rect, height: u16) -> [Rect; 2] {
    let height = height.min(area.height);
    [Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area }]
}

fn last_lines(area: Rect, count: u16) -> Rect {
    let count = count.min(area.height);
    Rect { y: area.y + area.height - count, height: count, ..area }
}

fn capital(text: impl ToString) -> String {
    let text = text.to_string();
    let mut letters = text.chars();
    // An address stays as it is.
    match letters.next() {
        Some(first) if !text.starts_with("http") => first.to_uppercase().chain(letters).collect(),
        _ => text,
    }
}

#[cfg(test)]
mod tests;
