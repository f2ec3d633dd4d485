//! Clustering, by the length of histories, and by how many interests are in them.

use std::time::Duration;

use sojourn::journey::JourneyParams;
use sojourn_workers::bench::{INTERESTS, Kernel, KernelFigures, Shape};

use super::curve::Curve;

const TERMS: usize = 12;
const USUAL_ITEMS: usize = 200;

const COSTS: [&str; 4] = [
    "walk, ns an item",
    "all of the clustering, ns an item",
    "journeys after the walk",
    "postings that an item meets",
];

pub fn by_length() {
    let mut curve = Curve {
        name: "history",
        of: "items of a history",
        costs: &COSTS,
        plotted: 2,
        points: Vec::new(),
    };
    for items in [
        10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000,
    ] {
        curve.add(items as f64, measured(items, INTERESTS));
    }
    curve.show();
}

pub fn by_interests() {
    let mut curve = Curve {
        name: "journeys",
        of: "interests in 200 items",
        costs: &COSTS,
        plotted: 2,
        points: Vec::new(),
    };
    for interests in [1, 2, 4, 8, 16, 32, 64, 128] {
        curve.add(interests as f64, measured(USUAL_ITEMS, interests));
    }
    curve.show();
}

fn measured(items: usize, interests: usize) -> Vec<f64> {
    let measure = |only_walk| {
        let kernel = Kernel {
            shape: Shape {
                items,
                terms: TERMS,
                interests,
            },
            params: JourneyParams::default(),
            only_walk,
            threads: 1,
            time: Duration::from_secs(1),
            seed: 1,
        };
        kernel.measure(&kernel.histories())
    };
    let (walk, all) = (measure(true), measure(false));
    let KernelFigures {
        journeys_per_user,
        postings_per_item,
        ..
    } = walk;
    vec![
        walk.nanoseconds_per_item(),
        all.nanoseconds_per_item(),
        journeys_per_user,
        postings_per_item,
    ]
}
