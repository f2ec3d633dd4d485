//! Every form in which rows are written.

use std::sync::Arc;

use arrow_array::{Date32Array, StringArray, UInt64Array};

use crate::population::{
    self, FORMS, Form, PACKINGS, Packing, events_as, events_csv, items_as, items_csv, pack, parquet,
};
use crate::workspace::{Workspace, events, open, run};

#[test]
fn every_format_under_every_compression_gives_the_same_dataset() {
    let mut ids = Vec::new();
    for (form, extension) in FORMS {
        for (packing, suffix) in PACKINGS {
            let workspace = Workspace::new();
            let (items, log) = (
                format!("items.{extension}{suffix}"),
                format!("log.{extension}{suffix}"),
            );
            workspace.write(&items, pack(items_as(form), packing));
            workspace.write(&log, pack(events_as(form, &population::events()), packing));
            let manifest = run(workspace.options(&items, &log))
                .unwrap_or_else(|error| panic!("{form:?} {packing:?}: {error}"));
            assert_eq!(manifest.counts.items, population::ITEMS as u64);
            assert_eq!(manifest.counts.users, population::USERS as u64);
            assert_eq!(
                manifest.counts.interactions,
                population::events().len() as u64
            );
            assert!(manifest.counts.rejects.is_empty());
            ids.push((manifest.id, form, packing));
        }
    }
    for (id, form, packing) in &ids {
        assert_eq!(*id, ids[0].0, "{form:?} {packing:?}");
    }
}

#[test]
fn what_users_did_comes_out_as_it_went_in() {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write("log.jsonl", events_as(Form::Jsonl, &population::events()));
    run(workspace.options("items.csv", "log.jsonl")).unwrap();
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let found = events(&dataset);
    let expected = population::events().into_iter().fold(
        std::collections::BTreeMap::<String, Vec<_>>::new(),
        |mut users, event| {
            let user = users.entry(event.user.to_string()).or_default();
            user.push((event.item, event.seconds * 1000, event.weight as f32));
            users
        },
    );
    assert_eq!(found, expected);
    let catalogue = dataset.catalogue();
    for item in population::items() {
        let index = catalogue.find(&item.id).unwrap();
        assert_eq!(catalogue.title(index), item.title);
    }
}

#[test]
fn compression_is_told_by_the_content_and_not_by_the_name() {
    let workspace = Workspace::new();
    workspace.write("items.csv", pack(items_csv(), Packing::Gzip));
    workspace.write("log.csv.gz", events_csv());
    let manifest = run(workspace.options("items.csv", "log.csv.gz")).unwrap();
    assert_eq!(manifest.counts.users, population::USERS as u64);
}

#[test]
fn gzip_and_zstd_of_several_members_are_read_to_the_end() {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    let log = events_csv();
    let (first, second) = log.split_at(log.len() / 2);
    for (packing, name) in [
        (Packing::Gzip, "log.csv.gz"),
        (Packing::Zstd, "log.csv.zst"),
    ] {
        let parts = [first, second].map(|part| pack(part.to_vec(), packing));
        workspace.write(name, parts.concat());
        let mut options = workspace.options("items.csv", name);
        options.force = true;
        let manifest = run(options).unwrap();
        assert_eq!(
            manifest.counts.interactions,
            population::events().len() as u64
        );
    }
}

#[test]
fn zstd_that_begins_with_a_frame_to_be_skipped_is_read() {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    // As pzstd writes it: the magic number, the length, and so many bytes.
    let mut log = b"\x50\x2a\x4d\x18\x04\x00\x00\x00\x00\x01\x02\x03".to_vec();
    log.extend(pack(events_csv(), Packing::Zstd));
    workspace.write("log.csv.zst", log);
    let manifest = run(workspace.options("items.csv", "log.csv.zst")).unwrap();
    assert_eq!(manifest.counts.users, population::USERS as u64);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_row() {
    let marked = |text: &[u8]| [b"\xef\xbb\xbf", text].concat();
    for (name, log) in [
        ("log.jsonl", events_as(Form::Jsonl, &population::events())),
        ("log.csv", events_csv()),
    ] {
        let workspace = Workspace::new();
        workspace.write("items.csv", marked(&items_csv()));
        workspace.write(name, pack(marked(&log), Packing::Gzip));
        let manifest = run(workspace.options("items.csv", name)).unwrap();
        assert_eq!(manifest.counts.users, population::USERS as u64, "{name}");
        assert!(manifest.counts.rejects.is_empty(), "{name}");
    }
}

#[test]
fn cells_of_csv_may_be_quoted_and_hold_separators_quotes_and_line_ends() {
    let workspace = Workspace::new();
    let items =
        "\u{feff}item_id,title\r\n\"a\",\"Knots, \"\"bends\"\"\nand hitches\"\r\nb, plain \r\n";
    workspace.write("items.csv", items);
    workspace.write("log.csv", "user_id,item_id,timestamp\nu,a,0\nu,b,\"1\"\n");
    let manifest = run(workspace.options("items.csv", "log.csv")).unwrap();
    assert_eq!(manifest.counts.interactions, 2);
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let catalogue = dataset.catalogue();
    let title = |id: &str| catalogue.title(catalogue.find(id).unwrap()).to_owned();
    assert_eq!(title("a"), "Knots, \"bends\"\nand hitches");
    assert_eq!(title("b"), "plain");
}

#[test]
fn ids_that_are_unsigned_hashes_keep_all_their_digits() {
    const HASH: u64 = u64::MAX - 1;
    let workspace = Workspace::new();
    workspace.write(
        "items.jsonl",
        format!("{{\"item_id\":{HASH},\"title\":\"one\"}}\n"),
    );
    let ids = || Arc::new(UInt64Array::from(vec![HASH]));
    workspace.write(
        "log.parquet",
        parquet(&[
            ("user_id", ids()),
            ("item_id", ids()),
            ("timestamp", Arc::new(Date32Array::from(vec![1]))),
        ]),
    );
    run(workspace.options("items.jsonl", "log.parquet")).unwrap();
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let expected = vec![(HASH.to_string(), 86_400_000, 1.0)];
    assert_eq!(events(&dataset)[&HASH.to_string()], expected);
}

#[test]
fn keys_that_some_json_objects_leave_out_are_empty_there() {
    let workspace = Workspace::new();
    workspace.write(
        "items.jsonl",
        "{\"item_id\":\"a\"}\n{\"item_id\":\"b\",\"title\":\"B\",\"tags\":null}\n",
    );
    workspace.write("log.csv", "user_id,item_id,timestamp\nu,a,0\n");
    let manifest = run(workspace.options("items.jsonl", "log.csv")).unwrap();
    assert_eq!(manifest.counts.items, 2);
}

#[test]
fn times_as_text_and_as_numbers_of_every_unit_are_the_same_times() {
    let workspace = Workspace::new();
    workspace.write("items.csv", "item_id,title\na,A\n");
    let times = [
        "1767225600",
        "1767225600000",
        "1767225600000000",
        "1767225600000000000",
        "2026-01-01",
        "2026-01-01T00:00:00Z",
        "2026-01-01 00:00",
        "2026-01-01T01:00:00+01:00",
    ];
    let rows = times
        .iter()
        .enumerate()
        .map(|(user, time)| format!("u{user},a,{time}\n"));
    let log = format!("user_id,item_id,timestamp\n{}", rows.collect::<String>());
    workspace.write("log.csv", log);
    let manifest = run(workspace.options("items.csv", "log.csv")).unwrap();
    assert_eq!(manifest.counts.first_timestamp, population::START * 1000);
    assert_eq!(manifest.counts.last_timestamp, population::START * 1000);
    assert_eq!(manifest.counts.users, times.len() as u64);
}

#[test]
fn a_parquet_column_of_a_dictionary_is_read_as_its_values() {
    let workspace = Workspace::new();
    workspace.write("items.csv", "item_id,title\na,A\n");
    let plain: arrow_array::ArrayRef = Arc::new(StringArray::from(vec!["u", "u", "v"]));
    let key = Box::new(arrow_schema::DataType::Int32);
    let dictionary = arrow_schema::DataType::Dictionary(key, plain.data_type().clone().into());
    workspace.write(
        "log.parquet",
        parquet(&[
            ("user_id", arrow_cast::cast(&plain, &dictionary).unwrap()),
            ("item_id", Arc::new(StringArray::from(vec!["a"; 3]))),
            (
                "timestamp",
                Arc::new(arrow_array::Int32Array::from(vec![1, 2, 3])),
            ),
        ]),
    );
    let manifest = run(workspace.options("items.csv", "log.parquet")).unwrap();
    assert_eq!(
        (manifest.counts.users, manifest.counts.interactions),
        (2, 3)
    );
}
