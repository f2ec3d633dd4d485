//! Sojourn's speed beside that of what others would use, in one run on one machine: one table, in
//! which every row names its competitor and the ratio.
//!
//! `cargo bench --bench speed -- kernel` measures some parts only. `make bench` installs the
//! competitors first and builds the programs; rows of competitors that are not there say so. A
//! population of a million users is generated for it, and Redis takes 8 GB for their journeys:
//! `USERS=100000 make bench` is content with a tenth.

mod backfill;
mod catalogue;
mod hash_maps;
mod ingest;
mod kernel;
mod queue;
mod reader;
mod table;
mod writing;

#[path = "../shared/mod.rs"]
mod shared;

use table::Table;

/// Measures a part, and adds its rows.
type Measure = fn(&mut Table);

/// The parts, in the order in which they are measured.
const PARTS: [(&str, Measure); 7] = [
    ("kernel", kernel::measure),
    ("queue", queue::measure),
    ("reader", reader::measure),
    ("ingest", ingest::measure),
    ("catalogue", catalogue::measure),
    ("write", writing::measure),
    ("backfill", backfill::measure),
];

fn main() {
    let mut table = Table::default();
    for (part, measure) in PARTS {
        if shared::is_asked(part) {
            measure(&mut table);
        }
    }
    print!("{table}");
}
