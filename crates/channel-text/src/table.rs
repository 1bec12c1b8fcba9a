//! Tables as aligned monospaced text.

use channel_core::Alignment;
use unicode_width::UnicodeWidthStr as _;

/// Cells wider than this are not made room for in the other rows, so that one long cell
/// does not fill every row with spaces.
const MAX_COLUMN: usize = 40;

/// Sets cells in columns, the first row as header over a line of dashes.
///
/// Width is counted in terminal columns, so that ideographs take two.
pub(crate) fn align(alignments: &[Alignment], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 1);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.width().min(MAX_COLUMN));
        }
    }
    let mut out = String::new();
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let start = out.len();
        // Rows that were too short end in empty cells, which need no place.
        let filled = row.iter().rposition(|cell| !cell.is_empty());
        let cells = row
            .iter()
            .zip(&widths)
            .take(filled.map_or(0, |last| last + 1));
        for (column, (cell, width)) in cells.enumerate() {
            if column > 0 {
                out.push_str(" | ");
            }
            let alignment = alignments.get(column).copied().unwrap_or_default();
            push_cell(&mut out, cell, *width, alignment);
        }
        let end = out.trim_end_matches(' ').len().max(start);
        out.truncate(end);
        if index == 0 {
            out.push('\n');
            for (column, width) in widths.iter().enumerate() {
                out.push_str(if column > 0 { "-+-" } else { "" });
                out.extend(std::iter::repeat_n('-', *width));
            }
        }
    }
    out
}

fn push_cell(out: &mut String, cell: &str, width: usize, alignment: Alignment) {
    let room = width.saturating_sub(cell.width());
    let before = match alignment {
        Alignment::Right => room,
        Alignment::Center => room / 2,
        _ => 0,
    };
    out.extend(std::iter::repeat_n(' ', before));
    out.push_str(cell);
    out.extend(std::iter::repeat_n(' ', room - before));
}
