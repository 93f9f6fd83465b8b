//! Columns, laid out like docker-machine's: three spaces between them, at least five wide.

const PADDING: usize = 3;
const LEAST: usize = 5;

/// One line for each row, without blanks at their ends.
pub(crate) fn render<R: AsRef<[String]>>(rows: &[R]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows.iter().map(AsRef::as_ref) {
        widths.resize(widths.len().max(row.len()), LEAST);
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count() + PADDING);
        }
    }
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells = row.as_ref().iter().zip(&widths);
            let line: String = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
            line.trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_longest_cell_and_three_blanks() {
        let rows = [["NAME", "A", "URL"], ["longer-name", "", "x"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(super::render(&rows), "NAME          A    URL\nlonger-name        x");
    }
}
