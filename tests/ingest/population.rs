//! A small population, in every form that an ingest reads.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use parquet::arrow::ArrowWriter;
use serde_json::json;

pub const ITEMS: usize = 12;
pub const USERS: usize = 20;

/// Time of the first interaction: 2026-01-01T00:00:00Z.
pub const START: i64 = 1_767_225_600;

pub struct Item {
    pub id: String,
    pub title: String,
    pub description: String,
    pub tags: Vec<String>,
}

#[derive(Clone)]
pub struct Event {
    pub user: i64,
    pub item: String,
    pub seconds: i64,
    pub weight: f64,
}

pub fn items() -> Vec<Item> {
    const WORDS: [&str; 4] = ["sourdough", "trail", "violin", "orchid"];
    (0..ITEMS)
        .map(|number| Item {
            id: format!("i{number:02}"),
            title: format!("{} guide, part {number}", WORDS[number % WORDS.len()]),
            description: format!("All about {}; \"quoted\"", WORDS[number % WORDS.len()]),
            tags: vec![WORDS[number % WORDS.len()].into(), "guide".into()],
        })
        .collect()
}

/// By user and time.
pub fn events() -> Vec<Event> {
    let of = |user: usize| {
        (0..=user % 7).map(move |step| Event {
            user: user as i64 + 1,
            item: format!("i{:02}", (user * 5 + step * 3) % ITEMS),
            seconds: START + (step * 3600 + user) as i64,
            weight: step as f64 / 2.0,
        })
    };
    (0..USERS).flat_map(of).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Csv(u8),
    Jsonl,
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Plain,
    Gzip,
    Zstd,
}

pub const FORMS: [(Form, &str); 5] = [
    (Form::Csv(b','), "csv"),
    (Form::Csv(b';'), "csv"),
    (Form::Csv(b'\t'), "tsv"),
    (Form::Jsonl, "jsonl"),
    (Form::Parquet, "parquet"),
];

pub const PACKINGS: [(Packing, &str); 3] = [
    (Packing::Plain, ""),
    (Packing::Gzip, ".gz"),
    (Packing::Zstd, ".zst"),
];

pub fn pack(content: Vec<u8>, packing: Packing) -> Vec<u8> {
    match packing {
        Packing::Plain => content,
        Packing::Gzip => {
            let level = flate2::Compression::default();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(&content).unwrap();
            encoder.finish().unwrap()
        }
        Packing::Zstd => zstd::encode_all(&content[..], 0).unwrap(),
    }
}

pub fn items_as(form: Form) -> Vec<u8> {
    let items = items();
    match form {
        Form::Csv(delimiter) => csv(delimiter, &["item_id", "title", "description", "tags"], {
            let row = |item: &Item| {
                let Item {
                    id,
                    title,
                    description,
                    tags,
                } = item;
                vec![
                    id.clone(),
                    title.clone(),
                    description.clone(),
                    tags.join("|"),
                ]
            };
            items.iter().map(row).collect()
        }),
        Form::Jsonl => lines(items.iter().map(|item| {
            let Item {
                id,
                title,
                description,
                tags,
            } = item;
            json!({"item_id": id, "title": title, "description": description, "tags": tags})
        })),
        Form::Parquet => {
            let text = |of: fn(&Item) -> &str| -> ArrayRef {
                Arc::new(StringArray::from_iter_values(items.iter().map(of)))
            };
            let mut tags = ListBuilder::new(StringBuilder::new());
            for item in &items {
                tags.append_value(item.tags.iter().map(Some));
            }
            parquet(&[
                ("item_id", text(|item| &item.id)),
                ("title", text(|item| &item.title)),
                ("description", text(|item| &item.description)),
                ("tags", Arc::new(tags.finish())),
            ])
        }
    }
}

pub fn events_as(form: Form, events: &[Event]) -> Vec<u8> {
    match form {
        Form::Csv(delimiter) => csv(delimiter, &["timestamp", "user_id", "item_id", "weight"], {
            let row = |event: &Event| {
                let Event {
                    user,
                    item,
                    seconds,
                    weight,
                } = event;
                vec![
                    seconds.to_string(),
                    user.to_string(),
                    item.clone(),
                    weight.to_string(),
                ]
            };
            events.iter().map(row).collect()
        }),
        Form::Jsonl => lines(events.iter().map(|event| {
            let Event {
                user,
                item,
                seconds,
                weight,
            } = event;
            json!({"user_id": user, "item_id": item, "timestamp": seconds, "weight": weight})
        })),
        Form::Parquet => {
            let items = events.iter().map(|event| &event.item);
            let times = events.iter().map(|event| event.seconds * 1_000_000);
            let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
            let users = events.iter().map(|event| event.user);
            let weights = events.iter().map(|event| event.weight);
            parquet(&[
                ("user_id", Arc::new(Int64Array::from_iter_values(users))),
                ("item_id", Arc::new(StringArray::from_iter_values(items))),
                ("timestamp", Arc::new(times)),
                ("weight", Arc::new(Float64Array::from_iter_values(weights))),
            ])
        }
    }
}

pub fn items_csv() -> Vec<u8> {
    items_as(Form::Csv(b','))
}

pub fn events_csv() -> Vec<u8> {
    events_as(Form::Csv(b','), &events())
}

pub fn parquet(columns: &[(&str, ArrayRef)]) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns.iter().cloned()).unwrap();
    let mut content = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut content, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    content
}

fn csv(delimiter: u8, header: &[&str], rows: Vec<Vec<String>>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter)
        .from_writer(Vec::new());
    writer.write_record(header).unwrap();
    for row in rows {
        writer.write_record(row).unwrap();
    }
    writer.into_inner().unwrap()
}

fn lines(values: impl Iterator<Item = serde_json::Value>) -> Vec<u8> {
    let mut text = String::new();
    for value in values {
        writeln!(text, "{value}").unwrap();
    }
    text.into_bytes()
}
