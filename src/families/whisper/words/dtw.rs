//! Dynamic time warping: the cheapest way through a matrix, from the first row and column to the last.

/// Which of the three neighbours a cell was reached from.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Both,
    Row,
    Column,
}

/// The path of least cost through `costs` `[rows, columns]`, as (row, column), in order. Of equal ways the one along
/// the row is taken, as in openai-whisper.
pub fn path(costs: &[f32], rows: usize, columns: usize) -> Vec<(usize, usize)> {
    if rows == 0 || columns == 0 {
        return Vec::new();
    }
    backtrace(&trace(costs, rows, columns), rows, columns)
}

/// How every cell is best reached, `[rows, columns]`.
fn trace(costs: &[f32], rows: usize, columns: usize) -> Vec<From> {
    let mut trace = Vec::with_capacity(rows * columns);
    // Totals of the row before, with the edge at index 0: only the first cell can be entered from outside.
    let mut above = vec![f32::INFINITY; columns + 1];
    above[0] = 0.0;
    for row in costs.chunks_exact(columns) {
        let mut totals = Vec::with_capacity(columns + 1);
        totals.push(f32::INFINITY);
        for (column, cost) in row.iter().enumerate() {
            let (total, from) = cheapest(above[column], above[column + 1], totals[column]);
            totals.push(cost + total);
            trace.push(from);
        }
        above = totals;
    }
    trace
}

fn cheapest(both: f32, row: f32, column: f32) -> (f32, From) {
    if both < row && both < column {
        (both, From::Both)
    } else if row < both && row < column {
        (row, From::Row)
    } else {
        (column, From::Column)
    }
}

fn backtrace(trace: &[From], rows: usize, columns: usize) -> Vec<(usize, usize)> {
    let (mut row, mut column) = (rows - 1, columns - 1);
    let mut path = vec![(row, column)];
    while (row, column) != (0, 0) {
        let from = match (row, column) {
            (0, _) => From::Column,
            (_, 0) => From::Row,
            _ => trace[row * columns + column],
        };
        row -= usize::from(from != From::Column);
        column -= usize::from(from != From::Row);
        path.push((row, column));
    }
    path.reverse();
    path
}
