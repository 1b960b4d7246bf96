//! Tables: aligned columns without lines for people, tabs without a header for programs.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Paint;

/// The space between two columns.
const GAP: usize = 2;

/// The narrowest that a column is cut to.
const NARROWEST: usize = 8;

/// The narrowest that a column is cut to as long as others can be spared.
const COMFORTABLE: usize = 16;

/// A table to be printed.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    empty: &'static str,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    /// May be cut where the terminal is narrow.
    elastic: bool,
    /// Goes on in further lines rather than being cut.
    wraps: bool,
    /// May be left out where the terminal is narrow.
    spare: bool,
}

impl Column {
    /// A column of text that is never cut.
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, right: false, elastic: false, wraps: false, spare: false }
    }

    /// A column of numbers.
    pub(crate) const fn number(title: &'static str) -> Self {
        Self { title, right: true, elastic: false, wraps: false, spare: false }
    }

    /// A column of text that is cut where the terminal is narrow.
    pub(crate) const fn elastic(title: &'static str) -> Self {
        Self { title, right: false, elastic: true, wraps: false, spare: false }
    }

    /// A column of text that goes on in further lines where the terminal is narrow.
    pub(crate) const fn wrapping(title: &'static str) -> Self {
        Self { title, right: false, elastic: true, wraps: true, spare: false }
    }

    /// Lets the column be left out where the terminal is narrow, the widest such one first.
    #[must_use]
    pub(crate) const fn spare(mut self) -> Self {
        self.spare = true;
        self
    }
}

/// One cell: what people see, and what programs get.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    shown: String,
    exact: Option<String>,
    paint: Paint,
}

impl Cell {
    /// A cell that reads the same for everybody.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { shown: text.into(), ..Self::default() }
    }

    /// A coloured cell.
    pub(crate) fn painted(paint: Paint, text: impl Into<String>) -> Self {
        Self { paint, ..Self::new(text) }
    }

    /// Gives programs something else than people, such as an instant in place of "3m ago".
    #[must_use]
    pub(crate) fn exactly(mut self, text: impl Into<String>) -> Self {
        self.exact = Some(text.into());
        self
    }
}

impl Table {
    /// Begins a table; `empty` is what people see in place of one without rows.
    pub(crate) fn new(columns: impl Into<Vec<Column>>, empty: &'static str) -> Self {
        Self { columns: columns.into(), rows: Vec::new(), empty }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<Cell> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells);
    }

    /// Writes it for a terminal of this width.
    pub(crate) fn for_people(&self, width: usize, color: bool) -> String {
        if self.rows.is_empty() {
            return format!("{}\n", self.empty);
        }
        let widths = self.widths(width);
        let titles = self.columns.iter().map(|column| Cell::painted(Paint::Faint, column.title));
        let mut text = self.line(titles.collect::<Vec<_>>().as_slice(), &widths, color);
        for row in &self.rows {
            text.push_str(&self.line(row, &widths, color));
        }
        text
    }

    /// Writes it for a program: a tab between cells, no header, nothing cut, nothing relative.
    pub(crate) fn for_programs(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> =
                row.iter().map(|cell| one_line(cell.exact.as_ref().unwrap_or(&cell.shown))).collect();
            text.push_str(&cells.join("\t"));
            text.push('\n');
        }
        text
    }

    fn line(&self, cells: &[Cell], widths: &[Option<usize>], color: bool) -> String {
        let shown = cells.iter().zip(&self.columns).zip(widths);
        let parts: Vec<Vec<String>> = shown
            .map(|((cell, column), width)| match width {
                Some(width) if column.wraps => wrapped(&one_line(&cell.shown), *width),
                Some(width) => vec![cut(&one_line(&cell.shown), *width)],
                None => Vec::new(),
            })
            .collect();
        let lines = parts.iter().map(Vec::len).max().unwrap_or(0);
        let pick = |line: usize| parts.iter().map(move |part| part.get(line).map_or("", String::as_str));
        (0..lines).map(|line| self.part(cells, &pick(line).collect::<Vec<_>>(), widths, color)).collect()
    }

    /// Writes one line of a row that may have several.
    fn part(&self, cells: &[Cell], texts: &[&str], widths: &[Option<usize>], color: bool) -> String {
        let mut line = String::new();
        let mut is_first = true;
        for (((cell, text), column), width) in cells.iter().zip(texts).zip(&self.columns).zip(widths) {
            let Some(width) = width else { continue };
            let padding = " ".repeat(width.saturating_sub(text.width()));
            let painted = if text.is_empty() { String::new() } else { cell.paint.on(color, text) };
            if !std::mem::take(&mut is_first) {
                line.push_str("  ");
            }
            if column.right {
                line.push_str(&padding);
                line.push_str(&painted);
            } else {
                line.push_str(&painted);
                line.push_str(&padding);
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }

    /// Decides how wide each column is, and which is left out.
    fn widths(&self, available: usize) -> Vec<Option<usize>> {
        let mut asked: Vec<Option<usize>> = self.asked().into_iter().map(Some).collect();
        loop {
            let given = self.squeezed(&asked, available, COMFORTABLE);
            if total(&given) <= available {
                return given;
            }
            let spare = asked.iter_mut().zip(&self.columns).filter(|(_, column)| column.spare);
            match spare.map(|(width, _)| width).filter(|width| width.is_some()).max_by_key(|width| **width) {
                Some(widest) => *widest = None,
                None => return self.squeezed(&asked, available, NARROWEST),
            }
        }
    }

    /// Returns what each column would take if there were room.
    fn asked(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.title.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(one_line(&cell.shown).width());
            }
        }
        widths
    }

    /// Takes from the widest elastic column, again and again, what is too much.
    fn squeezed(&self, asked: &[Option<usize>], available: usize, narrowest: usize) -> Vec<Option<usize>> {
        let mut given = asked.to_vec();
        while total(&given) > available {
            let elastic = given.iter_mut().zip(&self.columns).filter(|(_, column)| column.elastic);
            match elastic.filter_map(|(width, _)| width.as_mut()).max_by_key(|width| **width) {
                Some(width) if *width > narrowest => *width -= 1,
                _ => break,
            }
        }
        given
    }
}

/// Returns how wide a line is, gaps and all.
fn total(widths: &[Option<usize>]) -> usize {
    let shown = widths.iter().flatten();
    shown.clone().sum::<usize>() + GAP * shown.count().saturating_sub(1)
}

/// Puts text on one line: what would break it is written out.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

/// Breaks text between words, and within a word that is too long for a line of its own.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a line from the beginning");
        if line.width() + 1 + word.width() <= width && !line.is_empty() {
            line.push(' ');
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(String::new());
        }
        for c in word.chars() {
            let line = lines.last_mut().expect("there is a line from the beginning");
            if line.width() + c.width().unwrap_or(0) > width && !line.is_empty() {
                lines.push(String::new());
            }
            lines.last_mut().expect("there is a line from the beginning").push(c);
        }
    }
    lines
}

fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > width {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let columns = [Column::new("ID"), Column::number("TRIES"), Column::elastic("ERROR")];
        let mut table = Table::new(columns, "no jobs");
        table.row([
            Cell::painted(Paint::Bad, "a1"),
            Cell::new("12"),
            Cell::new("a long story\nin two lines").exactly("exact"),
        ]);
        table.row([Cell::new("b"), Cell::new("3"), Cell::new("短い話")]);
        table
    }

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        assert_eq!(
            table().for_people(80, false),
            "ID  TRIES  ERROR\n\
             a1     12  a long story\\nin two lines\n\
             b       3  短い話\n"
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_the_elastic_column_only() {
        assert_eq!(
            table().for_people(22, false),
            "ID  TRIES  ERROR\n\
             a1     12  a long sto…\n\
             b       3  短い話\n"
        );
    }

    #[test]
    fn columns_that_can_be_spared_go_before_text_becomes_too_short() {
        let columns = [
            Column::new("ID"),
            Column::new("QUEUE").spare(),
            Column::new("TOOK").spare(),
            Column::elastic("ERROR"),
        ];
        let mut table = Table::new(columns, "");
        table.row([
            Cell::new("a1"),
            Cell::new("default"),
            Cell::new("12 s"),
            Cell::new("a rather long story"),
        ]);
        assert_eq!(
            table.for_people(37, false),
            "ID  QUEUE    TOOK  ERROR\n\
             a1  default  12 s  a rather long sto…\n"
        );
        assert_eq!(table.for_people(29, false), "ID  TOOK  ERROR\na1  12 s  a rather long story\n");
        assert_eq!(table.for_people(15, false), "ID  ERROR\na1  a rather l…\n");
    }

    #[test]
    fn a_column_that_wraps_goes_on_below_and_nothing_of_it_is_lost() {
        let mut table =
            Table::new([Column::number("ID"), Column::wrapping("REASON"), Column::new("WHEN")], "");
        table.row([
            Cell::new("7"),
            Cell::new("port 9 of \"127.0.0.1\" is not to be asked"),
            Cell::new("now"),
        ]);
        table.row([Cell::new("8"), Cell::new("http://a.example/averylongone"), Cell::new("now")]);
        assert_eq!(
            table.for_people(30, false),
            "ID  REASON                WHEN\n\
             \u{20}7  port 9 of             now\n\
             \u{20}   \"127.0.0.1\" is not\n\
             \u{20}   to be asked\n\
             \u{20}8  http://a.example/ave  now\n\
             \u{20}   rylongone\n"
        );
        assert!(table.for_people(usize::MAX, false).contains("is not to be asked  now"));
    }

    #[test]
    fn programs_get_tabs_and_exact_values() {
        assert_eq!(table().for_programs(), "a1\t12\texact\nb\t3\t短い話\n");
    }

    #[test]
    fn no_rows_are_said_in_words_to_people_and_not_at_all_to_programs() {
        let table = Table::new([Column::new("ID")], "no jobs");
        assert_eq!(table.for_people(80, false), "no jobs\n");
        assert_eq!(table.for_programs(), "");
    }

    #[test]
    fn what_a_foreign_text_holds_cannot_move_the_cursor() {
        assert_eq!(one_line("a\u{1b}[2Jb\r"), "a\\u{1b}[2Jb\\u{d}");
    }
}
