//! What is said of logs that are not in the order of time.

use sojourn::dataset::Manifest;

use crate::population::items_csv;
use crate::workspace::{Workspace, run};

const ROWS: [&str; 7] = [
    "u,i00,5", "v,i00,1",
    // Later than what follows, of the same user, with another one's row between them.
    "u,i01,9", "v,i01,2", "u,i02,7", "v,i02,3", "u,i03,6",
];

fn ingested(window: Option<usize>) -> Manifest {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    let log = format!("user_id,item_id,timestamp\n{}\n", ROWS.join("\n"));
    workspace.write("log.csv", log);
    let mut options = workspace.options("items.csv", "log.csv");
    options.window = window;
    run(options).unwrap()
}

#[test]
fn rows_above_an_older_one_of_their_user_are_counted_however_users_are_mixed() {
    for window in [None, Some(2)] {
        let counts = ingested(window).counts;
        assert_eq!(counts.out_of_order, 2, "{window:?}");
        let first = counts.first_out_of_order.unwrap();
        assert_eq!((first.file.ends_with("log.csv"), first.line), (true, 4));
    }
}
