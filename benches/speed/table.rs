//! What was measured.

use std::fmt::{self, Display, Formatter};

/// One speed of Sojourn beside that of a competitor.
#[derive(Debug)]
pub struct Row {
    /// What was done, on what.
    pub what: String,
    /// What is counted.
    pub unit: &'static str,
    /// How many of these Sojourn does in a second.
    pub ours: f64,
    /// Who else did it.
    pub competitor: String,
    /// How many these did in a second, or why that is not known.
    pub theirs: Result<f64, String>,
}

/// All rows.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds a row, and says on standard error that there is one more.
    pub fn add(&mut self, row: Row) {
        eprintln!("{row}");
        self.0.push(row);
    }
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Row {
            what,
            unit,
            ours,
            competitor,
            theirs,
        } = self;
        write!(f, "{what:<42} {unit:<10} {ours:>12.0}  ")?;
        match theirs {
            Ok(theirs) => write!(f, "{competitor:<34} {theirs:>12.0} {:>8.2}x", ours / theirs),
            Err(reason) => write!(f, "{competitor:<34} {reason}"),
        }
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<42} {:<10} {:>12}  {:<34} {:>12} {:>9}",
            "what", "per second", "Sojourn", "beside", "", "ratio"
        )?;
        self.0.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
