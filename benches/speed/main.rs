//! Sojourn's speed beside that of what others would use, in one run on one machine: one table, in
//! which every row names its competitor and the ratio.
//!
//! `cargo bench --bench speed -- kernel` measures some parts only. `make bench` installs the
//! competitors first; rows of those that are not there say so.

mod hash_maps;
mod kernel;
mod peer;
mod table;

use table::Table;

/// Measures a part, and adds its rows.
type Measure = fn(&mut Table);

/// The parts, in the order in which they are measured.
const PARTS: [(&str, Measure); 1] = [("kernel", kernel::measure)];

fn main() {
    // Cargo says that this is a benchmark.
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let mut table = Table::default();
    for (part, measure) in PARTS {
        if asked.is_empty() || asked.iter().any(|asked| asked == part) {
            measure(&mut table);
        }
    }
    print!("{table}");
}
