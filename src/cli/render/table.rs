//! Tables with aligned columns.

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// At its left edge.
    Left,
    /// At its right edge, for numbers.
    Right,
}

/// A table: a row of headings and rows of cells.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
    widest: usize,
}

impl Table {
    /// A table with these columns and no rows. Empty headings all over: no heading row.
    pub(crate) fn new<const N: usize>(columns: [(&str, Align); N]) -> Self {
        let columns = columns.map(|(heading, align)| (heading.to_owned(), align));
        Self {
            columns: columns.into(),
            rows: Vec::new(),
            widest: usize::MAX,
        }
    }

    /// A cell wider than this moves the rest of its row aside, and not those of all others.
    pub(crate) fn with_widest(self, widest: usize) -> Self {
        Self { widest, ..self }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.columns.len(), "a row has a cell for every column");
        self.rows.push(cells.into());
    }

    /// The table as lines, each ended; columns that are empty all over are left out.
    pub(crate) fn render(&self) -> String {
        let headings: Vec<String> = self.columns.iter().map(|(text, _)| text.clone()).collect();
        let with_headings = headings.iter().any(|heading| !heading.is_empty());
        let mut widths = vec![0; self.columns.len()];
        for (column, width) in widths.iter_mut().enumerate() {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            *width = cells.max().unwrap_or(0).min(self.widest);
            if *width > 0 || self.rows.is_empty() {
                *width = (*width).max(headings[column].chars().count());
            }
        }
        let mut text = String::new();
        let rows = with_headings.then_some(&headings).into_iter();
        for row in rows.chain(&self.rows) {
            let mut line = String::new();
            for ((cell, (_, align)), width) in row.iter().zip(&self.columns).zip(&widths) {
                if *width == 0 {
                    continue;
                }
                if !line.is_empty() {
                    line.push_str("  ");
                }
                line += &match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_cell_moves_only_its_own_row() {
        let mut table = Table::new([("", Align::Left), ("", Align::Left)]).with_widest(3);
        table.row(["abcdef".to_owned(), "x".to_owned()]);
        table.row(["a".to_owned(), "y".to_owned()]);
        assert_eq!(table.render(), "abcdef  x\na    y\n");
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table = Table::new([
            ("NAME", Align::Left),
            ("TAGS", Align::Left),
            ("SIZE", Align::Right),
        ]);
        table.row(["ä".to_owned(), String::new(), "10".to_owned()]);
        table.row(["bcdef".to_owned(), String::new(), "9".to_owned()]);
        assert_eq!(table.render(), "NAME   SIZE\nä        10\nbcdef     9\n");
    }
}
