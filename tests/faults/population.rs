//! Users with interests, as many as a scenario needs.

use std::io::{BufWriter, Write};

use crate::support::{ingest, said};

/// Interests, and what their items are called.
const THEMES: [(&str, &str, &str); 12] = [
    (
        "Ukulele fingerstyle",
        "lesson",
        "Fingerpicking chords and strumming",
    ),
    ("Hydroponic lettuce", "tower", "Nutrient solution pump"),
    ("Sourdough starter", "loaf", "Flour hydration oven"),
    ("Alpine climbing", "route", "Rope glacier belay"),
    ("Telescope mirror", "grinding", "Astronomy parabola polish"),
    ("Beehive inspection", "season", "Honey queen brood"),
    ("Watercolour landscape", "sketch", "Brush pigment paper"),
    (
        "Vintage motorcycle",
        "restoration",
        "Carburettor chrome engine",
    ),
    ("Marathon training", "week", "Tempo interval stride"),
    ("Japanese joinery", "joint", "Chisel cedar dovetail"),
    ("Fermented pepper", "sauce", "Chilli brine vinegar"),
    ("Amateur radio", "antenna", "Dipole frequency callsign"),
];

/// Items of a theme. Each user meets half of them.
const ITEMS: usize = 8;

/// A dataset on disk.
pub struct Population {
    pub dataset: String,
    pub users: usize,
    // Goes away with the population.
    _folder: tempfile::TempDir,
}

impl Population {
    /// So many users with two interests each, so many of them in a shard.
    pub fn new(users: usize, users_per_shard: usize) -> Population {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| {
            let file = std::fs::File::create(folder.path().join(name));
            BufWriter::new(file.expect("room on disk"))
        };
        let mut items = file("items.csv");
        writeln!(items, "item_id,title,description").expect("room on disk");
        for (theme, (title, part, description)) in THEMES.iter().enumerate() {
            for n in 0..ITEMS {
                let row = format!("{theme}-{n},{title} {part} {n},{description}");
                writeln!(items, "{row}").expect("room on disk");
            }
        }
        let mut interactions = file("interactions.csv");
        writeln!(interactions, "user_id,item_id,timestamp").expect("room on disk");
        for user in 0..users {
            let first = user % THEMES.len();
            // Never the first one: 1 to 11 further on.
            let second = (first + 1 + user / THEMES.len() % (THEMES.len() - 1)) % THEMES.len();
            for (order, theme) in [first, second].into_iter().enumerate() {
                for step in 0..ITEMS / 2 {
                    let n = (user + step) % ITEMS;
                    let time = 1_760_000_000 + step * 86_400 + order * 3_600 + user % 1_000;
                    writeln!(interactions, "u{user},{theme}-{n},{time}").expect("room on disk");
                }
            }
        }
        for mut file in [items, interactions] {
            file.flush().expect("room on disk");
        }
        let dataset = folder.path().join("dataset");
        let users_per_shard = users_per_shard.to_string();
        let arguments = ["--users-per-shard", &users_per_shard];
        let output = ingest(folder.path(), &dataset, &arguments);
        assert!(output.status.success(), "{}", said(&output));
        Population {
            dataset: dataset.display().to_string(),
            users,
            _folder: folder,
        }
    }
}
