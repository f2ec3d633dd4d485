//! Clustering: the walk of ICPC, beside inverted lists in Python, numpy, scikit-learn, and hash maps in
//! Rust. All of them find the same journeys, which is checked.

use std::fs::File;
use std::io::BufWriter;
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use sojourn::journey::JourneyParams;
use sojourn_workers::bench::{Histories, INTERESTS, Kernel, Shape};

use super::hash_maps;
use super::table::{Row, Table};
use crate::shared::peer;

/// Items and terms. The second is what a user is like.
const SHAPES: [(usize, usize); 6] = [
    (20, 12),
    (200, 12),
    (2_000, 12),
    (20_000, 12),
    (200, 8),
    (200, 16),
];

const PYTHON: [(&str, &str); 3] = [
    ("lists", "Python, inverted lists"),
    ("numpy", "numpy"),
    ("sklearn", "scikit-learn"),
];

/// For how long each is measured, about.
const TIME: Duration = Duration::from_secs(2);

pub fn measure(table: &mut Table) {
    for (items, terms) in SHAPES {
        let kernel = Kernel {
            shape: Shape {
                items,
                terms,
                interests: INTERESTS,
            },
            params: JourneyParams::default(),
            only_walk: true,
            threads: 1,
            time: TIME,
            seed: 1,
        };
        let histories = kernel.histories();
        let ours = kernel.measure(&histories).items_per_second;
        let mut add = |competitor: &str, theirs: Result<f64, String>| {
            table.add(Row {
                what: format!("kernel: {items} items of {terms} terms"),
                unit: "items",
                ours,
                competitor: competitor.to_owned(),
                theirs,
            });
        };
        for (method, name) in PYTHON {
            add(name, python(method, &kernel, &histories));
        }
        add(
            "Rust, a hash map for each journey",
            Ok(maps(&kernel, &histories)),
        );
        if items == 200 && terms == 12 {
            let two = Kernel {
                threads: 2,
                ..kernel
            }
            .measure(&histories)
            .items_per_second;
            table.add(Row {
                what: "kernel: the same on two threads".into(),
                unit: "items",
                ours: two,
                competitor: "itself on one".into(),
                theirs: Ok(ours),
            });
        }
    }
}

fn python(method: &str, kernel: &Kernel, histories: &Histories) -> Result<f64, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("histories");
    let file = File::create(&path).map_err(|error| error.to_string())?;
    histories
        .write(BufWriter::new(file))
        .map_err(|error| error.to_string())?;
    let said = peer::said(
        Command::new(peer::python())
            .arg(peer::file("benches/peers/kernel.py"))
            .args([
                method,
                &path.display().to_string(),
                &kernel.params.epsilon.to_string(),
            ])
            .args(["--seconds", &TIME.as_secs().to_string()]),
    )?;
    let number = |field: &str| said[field].as_f64().ok_or(format!("it says no {field}"));
    let users = number("users")? as usize;
    let ours = hash(kernel, &Histories(histories.0[..users].to_vec()));
    assert_eq!(
        said["assignments_sha256"], ours,
        "{method} finds other journeys"
    );
    Ok(number("items")? / number("seconds")?)
}

/// Of all assignments, as the programs in Python make it.
fn hash(kernel: &Kernel, histories: &Histories) -> String {
    let mut hash = Sha256::new();
    kernel.walks(histories, |_, walk| {
        for journey in walk {
            hash.update(journey.to_le_bytes());
        }
    });
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Users one after the other for as long as there is time, the first one in any case.
fn maps(kernel: &Kernel, histories: &Histories) -> f64 {
    let (mut items, mut time) = (0, Duration::ZERO);
    kernel.walks(histories, |history, walk| {
        if time >= TIME {
            return;
        }
        let begun = Instant::now();
        let found = hash_maps::walk(history, f64::from(kernel.params.epsilon));
        time += begun.elapsed();
        items += history.len();
        assert_eq!(found, walk, "hash maps find other journeys");
    });
    items as f64 / time.as_secs_f64()
}
