//! What is said of input that cannot be used, and that nothing of it is left.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, StructArray};

use crate::population::{
    self, Form, Packing, events_as, events_csv, items_as, items_csv, pack, parquet,
};
use crate::workspace::{Workspace, assert_says, events, open, refusal, run};

const LOG: &str = "user_id,item_id,timestamp\n";

/// Items, and a log of this name and content.
fn with_log(name: &str, content: impl AsRef<[u8]>) -> Workspace {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write(name, content);
    workspace
}

/// What is said of a log, and that no dataset and nothing unfinished is left.
#[track_caller]
fn said_of_log(name: &str, content: impl AsRef<[u8]>) -> String {
    let workspace = with_log(name, content);
    let message = refusal(workspace.options("items.csv", name));
    assert_eq!(
        workspace.outputs(&["items.csv", name]),
        Vec::<String>::new(),
        "{message}"
    );
    assert_says(&message, &[name]);
    message
}

/// `good` rows and one bad row more.
fn one_bad_row_in(good: usize, bad: &[u8]) -> Workspace {
    let mut log = LOG.as_bytes().to_vec();
    for row in 0..good {
        log.extend(format!("u,i00,{row}\n").as_bytes());
    }
    log.extend(bad);
    with_log("log.csv", log)
}

#[track_caller]
fn assert_rejected(bad: &[u8], reason: &str, parts: &[&str]) {
    assert_lines_rejected(bad, 1, reason, parts);
}

#[track_caller]
fn assert_lines_rejected(bad: &[u8], lines: u64, reason: &str, parts: &[&str]) {
    const GOOD: usize = 400;
    let workspace = one_bad_row_in(GOOD, bad);
    let manifest = run(workspace.options("items.csv", "log.csv")).unwrap();
    assert_eq!(
        manifest.counts.rejects.get(reason),
        Some(&lines),
        "{:?}",
        manifest.counts.rejects
    );
    assert_eq!(manifest.counts.interactions, GOOD as u64);
    let rejects = workspace.rejects("dataset/rejects.jsonl");
    assert_eq!(rejects.len(), 1);
    assert_says(rejects[0]["file"].as_str().unwrap(), &["log.csv"]);
    assert_eq!(rejects[0]["line"], GOOD + 2);
    assert_eq!(rejects[0]["reason"], reason);
    assert_says(rejects[0]["message"].as_str().unwrap(), parts);
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there_and_the_way_to_map_them() {
    let expected = [
        "\"item_id\"",
        "user_id, product, timestamp",
        "--map item_id=COLUMN",
    ];
    assert_says(
        &said_of_log("log.csv", "user_id,product,timestamp\nu,i00,1\n"),
        &expected,
    );
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text])) };
    let columns = [
        ("user_id", text("u")),
        ("product", text("i00")),
        ("timestamp", text("1")),
    ];
    assert_says(&said_of_log("log.parquet", parquet(&columns)), &expected);
    let objects = "{\"user_id\":\"u\",\"product\":\"i00\",\"timestamp\":1}\n".repeat(150);
    let expected = ["\"item_id\"", "product", "--map item_id=COLUMN"];
    assert_says(&said_of_log("log.jsonl", objects), &expected);
}

#[test]
fn a_column_that_is_there_twice_is_named() {
    let message = said_of_log(
        "log.csv",
        "user_id,item_id,item_id,timestamp\nu,i00,i00,1\n",
    );
    assert_says(&message, &["several columns \"item_id\""]);
}

#[test]
fn a_parquet_column_of_an_impossible_type_is_named_with_its_type() {
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let field = Arc::new(arrow_schema::Field::new(
        "a",
        number.data_type().clone(),
        false,
    ));
    let structure = StructArray::from(vec![(field, number.clone())]);
    let columns: [(&str, ArrayRef); 3] = [
        ("user_id", number.clone()),
        ("item_id", Arc::new(structure)),
        ("timestamp", number),
    ];
    let message = said_of_log("log.parquet", parquet(&columns));
    assert_says(
        &message,
        &[
            "\"item_id\"",
            "Struct",
            "text, a number",
            "--map item_id=COLUMN",
        ],
    );
}

#[test]
fn a_parquet_id_that_is_a_fraction_is_rejected() {
    let workspace = with_log(
        "log.parquet",
        parquet(&[
            (
                "user_id",
                Arc::new(Float64Array::from(vec![1.5])) as ArrayRef,
            ),
            ("item_id", Arc::new(StringArray::from(vec!["i00"]))),
            ("timestamp", Arc::new(Int64Array::from(vec![1]))),
        ]),
    );
    let message = refusal(workspace.options("items.csv", "log.parquet"));
    assert_says(
        &message,
        &["1 of 1 rows", "user_id is \"1.5\"", "log.parquet, line 1"],
    );
}

#[test]
fn an_empty_file_is_named_whatever_its_format() {
    let no_rows: [(&str, ArrayRef); 3] = ["user_id", "item_id", "timestamp"].map(|name| {
        (
            name,
            Arc::new(StringArray::from(Vec::<&str>::new())) as ArrayRef,
        )
    });
    let cases: [(&str, Vec<u8>); 6] = [
        ("log.csv", vec![]),
        ("log.csv", LOG.into()),
        ("log.jsonl", vec![]),
        ("log.jsonl", b"\n \n".to_vec()),
        ("log.csv.gz", pack(vec![], Packing::Gzip)),
        ("log.parquet", parquet(&no_rows)),
    ];
    for (name, content) in cases {
        assert_says(
            &said_of_log(name, content),
            &["no rows", "interactions were expected"],
        );
    }
    assert_says(
        &said_of_log("log.parquet", []),
        &["cannot be read as Parquet"],
    );
    let workspace = Workspace::new();
    workspace.write("items.csv", "");
    workspace.write("log.csv", events_csv());
    let message = refusal(workspace.options("items.csv", "log.csv"));
    assert_says(&message, &["items.csv", "no rows", "items were expected"]);
}

#[test]
fn a_file_that_was_cut_off_is_named_with_what_it_should_be() {
    let cut = |mut content: Vec<u8>| {
        content.truncate(content.len() * 2 / 3);
        content
    };
    let log = events_csv();
    let columns = events_as(Form::Parquet, &population::events());
    let cases: [(&str, Vec<u8>, &str); 5] = [
        ("log.csv.gz", cut(pack(log.clone(), Packing::Gzip)), "CSV"),
        ("log.csv.zst", cut(pack(log, Packing::Zstd)), "CSV"),
        ("log.parquet", cut(columns.clone()), "Parquet"),
        (
            "log.parquet.gz",
            cut(pack(columns, Packing::Gzip)),
            "Parquet",
        ),
        ("log.parquet", events_csv(), "Parquet"),
    ];
    for (name, content, expected) in cases {
        let message = said_of_log(name, content);
        assert_says(
            &message,
            &[&format!("cannot be read as {expected}"), "cut off"],
        );
    }
}

#[test]
fn a_gzip_that_is_cut_within_its_rows_leaves_no_dataset_of_the_first_rows() {
    let rows: String = (0..100_000)
        .map(|row| format!("u{},i00,{row}\n", row % 997))
        .collect();
    let mut packed = pack(format!("{LOG}{rows}").into_bytes(), Packing::Gzip);
    packed.truncate(packed.len() - 10);
    assert_says(&said_of_log("log.csv.gz", packed), &["cut off"]);
}

#[test]
fn bytes_of_another_kind_of_file_are_not_taken_for_columns() {
    let noise: Vec<u8> = (0..5_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let message = said_of_log("log.csv", noise);
    assert_says(&message, &["no column \"user_id\""]);
    assert!(
        message.len() < 3_000 && !message.chars().any(char::is_control),
        "{message:?}"
    );
}

#[test]
fn rows_that_are_none_are_rejected_with_their_line() {
    assert_rejected(b"u,i00\n", "unparsable", &["2 cells", "header has 3"]);
    assert_rejected(b"u,i00,1,2\n", "unparsable", &["4 cells"]);
    assert_rejected(b"u\xff,i00,1\n", "unparsable", &["not UTF-8"]);
    // A bad row more would make the file end in an open quote.
    let text = |row: &[u8]| [row, b"x,y,z\n"].concat();
    assert_lines_rejected(
        &text(b"\"u,i00,1\n"),
        2,
        "unparsable",
        &["line 403", "quote"],
    );
    assert_lines_rejected(
        b"u,\"i00,1\nu,i00,2\nu,\"i00\",3\n",
        3,
        "unparsable",
        &["line 404", "quote"],
    );
}

/// Lines of the rows that were rejected of a log with one bad row.
fn line_of_bad_row(log: &[u8]) -> u64 {
    let workspace = with_log("log.csv", log);
    let mut options = workspace.options("items.csv", "log.csv");
    options.max_rejects = 0.5;
    run(options).unwrap();
    let rejects = workspace.rejects("dataset/rejects.jsonl");
    assert_eq!(rejects.len(), 1);
    rejects[0]["line"].as_u64().unwrap()
}

#[test]
fn a_rejected_row_has_the_line_that_an_editor_shows() {
    let rows = [&LOG[..LOG.len() - 1], "u,i00,1", "u,i00,2", "u,i00,never"];
    assert_eq!(line_of_bad_row(rows.join("\n").as_bytes()), 4);
    assert_eq!(line_of_bad_row(rows.join("\r\n").as_bytes()), 4);
    assert_eq!(line_of_bad_row(rows.join("\n\n").as_bytes()), 7);
    assert_eq!(line_of_bad_row(rows.join("\r\n\r\n").as_bytes()), 7);
    let quoted = [
        "user_id,item_id,timestamp,note",
        "u,i00,1,\"a\n\nb\"",
        "u,i00,never,c\n",
    ];
    assert_eq!(line_of_bad_row(quoted.join("\n").as_bytes()), 5);
}

#[test]
fn parquet_that_cannot_be_read_as_what_it_is_for_is_rejected_with_the_reason() {
    use arrow_array::{BinaryArray, TimestampSecondArray};
    let workspace = Workspace::new();
    let titles: Vec<&[u8]> = vec![b"Violin", b"Th\xe9", b"Orchid"];
    let ids = || -> ArrayRef { Arc::new(StringArray::from(vec!["a", "b", "c"])) };
    workspace.write(
        "items.parquet",
        parquet(&[
            ("item_id", ids()),
            ("title", Arc::new(BinaryArray::from(titles))),
        ]),
    );
    let times = TimestampSecondArray::from(vec![Some(1), Some(i64::MAX), None]);
    workspace.write(
        "log.parquet",
        parquet(&[
            ("user_id", ids()),
            ("item_id", Arc::new(StringArray::from(vec!["a", "a", "c"]))),
            ("timestamp", Arc::new(times)),
        ]),
    );
    let mut options = workspace.options("items.parquet", "log.parquet");
    options.max_rejects = 0.7;
    let counts = run(options).unwrap().counts;
    assert_eq!((counts.items, counts.interactions), (2, 1));
    let rejects = workspace.rejects("dataset/rejects.jsonl");
    let rejects: Vec<(u64, &str, &str)> = rejects
        .iter()
        .map(|row| {
            let text = |key: &str| row[key].as_str().unwrap();
            (
                row["line"].as_u64().unwrap(),
                text("reason"),
                text("message"),
            )
        })
        .collect();
    assert_eq!(
        rejects[0],
        (2, "unparsable", "column \"title\" is not UTF-8")
    );
    assert_eq!((rejects[1].0, rejects[1].1), (2, "unparsable"));
    assert_says(rejects[1].2, &["\"timestamp\"", "milliseconds"]);
    assert_eq!(rejects[2], (3, "missing_value", "timestamp is missing"));
}

#[test]
fn a_time_that_no_calendar_has_is_rejected_in_every_format() {
    use arrow_array::TimestampMillisecondArray;
    let beyond = 300_000_000_000_000_i64;
    let times = TimestampMillisecondArray::from(vec![beyond, 5]);
    let text = |texts: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
    let workspace = with_log(
        "log.parquet",
        parquet(&[
            ("user_id", text(vec!["u"; 2])),
            ("item_id", text(vec!["i00"; 2])),
            ("timestamp", Arc::new(times)),
        ]),
    );
    let mut options = workspace.options("items.csv", "log.parquet");
    options.max_rejects = 0.5;
    assert_eq!(run(options).unwrap().counts.rejects["invalid_value"], 1);
    assert_rejected(b"u,i00,10000-01-01\n", "invalid_value", &["timestamp"]);
}

#[test]
fn values_of_the_wrong_type_are_rejected_with_their_text() {
    assert_rejected(
        b"u,i00,yesterday\n",
        "invalid_value",
        &["timestamp", "yesterday", "2026"],
    );
    assert_rejected(b",i00,1\n", "missing_value", &["user_id"]);
    assert_rejected(b"u,,1\n", "missing_value", &["item_id"]);
    assert_rejected(b"u,i00,\n", "missing_value", &["timestamp"]);
    assert_rejected(b"u\0v,i00,1\n", "invalid_value", &["user_id", "NUL"]);
    let long = format!("{},i00,1\n", "u".repeat(600));
    assert_rejected(long.as_bytes(), "invalid_value", &["user_id", "512 bytes"]);
    assert_rejected(b"u,i99,1\n", "unknown_item", &["\"i99\""]);
}

#[test]
fn a_weight_that_is_none_is_rejected() {
    let good = "u,i00,1,2.5\n".to_owned()
        + &(2..200)
            .map(|t| format!("u,i00,{t},\n"))
            .collect::<String>();
    for weight in ["-1", "NaN", "inf", "much", "1e300"] {
        let log = format!("user_id,item_id,timestamp,weight\n{good}u,i00,500,{weight}\n");
        let workspace = with_log("log.csv", log);
        let manifest = run(workspace.options("items.csv", "log.csv")).unwrap();
        assert_eq!(manifest.counts.rejects["invalid_value"], 1, "{weight}");
        let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
        let weights: Vec<f32> = events(&dataset)["u"].iter().map(|event| event.2).collect();
        assert_eq!((weights[0], weights[1]), (2.5, 1.0));
    }
}

#[test]
fn json_that_is_none_is_rejected_with_its_line() {
    let mut log: String = (0..300)
        .map(|t| format!("{{\"user_id\":1,\"item_id\":\"i00\",\"timestamp\":{t}}}\n"))
        .collect();
    log += "{\"user_id\":\n[1]\n";
    let mut log = log.into_bytes();
    log.extend(b"{\"user_id\":\"\xff\"}\n");
    let workspace = with_log("log.jsonl", log);
    let manifest = run(workspace.options("items.csv", "log.jsonl")).unwrap();
    assert_eq!(manifest.counts.rejects["unparsable"], 3);
    let rejects = workspace.rejects("dataset/rejects.jsonl");
    let found: Vec<_> = rejects
        .iter()
        .map(|row| {
            (
                row["line"].as_u64().unwrap(),
                row["message"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(found[0].0, 301);
    assert_says(found[0].1, &["not JSON"]);
    assert_eq!(found[1], (302, "it is not a JSON object"));
    assert_eq!(found[2], (303, "it is not UTF-8"));
}

#[test]
fn a_quote_that_is_never_closed_does_not_fill_the_memory() {
    let mut log = format!("{LOG}u,i00,1\nu,\"i00,2\n");
    log += &"v,i01,3\n".repeat(3_000_000);
    let message = said_of_log("log.csv", log);
    assert_says(&message, &["line 3", "a quote in it is not closed"]);
}

#[test]
fn a_line_of_json_without_end_does_not_fill_the_memory() {
    let mut log = b"{\"user_id\":\"".to_vec();
    log.resize(40 << 20, b'x');
    let workspace = with_log("log.jsonl", log);
    let message = refusal(workspace.options("items.csv", "log.jsonl"));
    assert_says(
        &message,
        &["longer than 16777216 bytes", "log.jsonl, line 1"],
    );
}

#[test]
fn of_equal_items_and_equal_interactions_the_first_is_kept() {
    let workspace = Workspace::new();
    let mut items = String::from("item_id,title\na,First\na,Second\n");
    let mut log =
        String::from("user_id,item_id,timestamp,weight\nu,a,1,0.5\nu,a,1,2\nv,a,1,1\nu,a,2,1\n");
    for number in 0..200 {
        items += &format!("x{number},Filler {number}\n");
        log += &format!("w,x{number},{number},1\n");
    }
    workspace.write("items.csv", items);
    workspace.write("log.csv", log);
    let manifest = run(workspace.options("items.csv", "log.csv")).unwrap();
    assert_eq!(manifest.counts.rejects["duplicate_item"], 1);
    assert_eq!(manifest.counts.rejects["duplicate_interaction"], 1);
    let rejects = workspace.rejects("dataset/rejects.jsonl");
    let places: Vec<_> = rejects
        .iter()
        .map(|row| row["line"].as_u64().unwrap())
        .collect();
    assert_eq!(places, [3, 3]);
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let catalogue = dataset.catalogue();
    assert_eq!(catalogue.title(catalogue.find("a").unwrap()), "First");
    assert_eq!(
        events(&dataset)["u"],
        [("a".into(), 1000, 0.5), ("a".into(), 2000, 1.0)]
    );
}

#[test]
fn too_many_rejects_end_the_ingest_and_leave_the_rejects_beside_the_place() {
    let workspace = one_bad_row_in(50, b"u,i99,1\n");
    let message = refusal(workspace.options("items.csv", "log.csv"));
    let kept = workspace.location("dataset.rejects.jsonl");
    assert_says(
        &message,
        &[
            "1 of 51 rows",
            "--max-rejects 0.01",
            "1 unknown_item",
            "log.csv, line 52",
            "\"i99\"",
            &kept,
        ],
    );
    assert_eq!(
        workspace.outputs(&["items.csv", "log.csv"]),
        ["dataset.rejects.jsonl"]
    );
    assert_eq!(workspace.rejects("dataset.rejects.jsonl").len(), 1);

    let mut options = workspace.options("items.csv", "log.csv");
    options.max_rejects = 0.05;
    assert_eq!(run(options).unwrap().counts.rejects["unknown_item"], 1);
}

#[test]
fn a_wrong_mapping_of_a_large_file_is_found_early() {
    let mut log = String::from(LOG);
    for row in 0..300_000 {
        log += &format!("u,{row},{row}\n");
    }
    let workspace = with_log("log.csv", log);
    let message = refusal(workspace.options("items.csv", "log.csv"));
    assert_says(&message, &["1000 of 1000 rows", "unknown_item"]);
}

#[test]
fn a_log_that_begins_badly_is_read_to_its_end() {
    let delisted: String = (0..1_500).map(|row| format!("u,gone,{row}\n")).collect();
    let good: String = (0..200_000).map(|row| format!("u,i00,{row}\n")).collect();
    // One good row among the bad ones is enough to go on.
    let workspace = with_log("log.csv", format!("{LOG}u,i00,-1\n{delisted}{good}"));
    let counts = run(workspace.options("items.csv", "log.csv"))
        .unwrap()
        .counts;
    assert_eq!(counts.rejects["unknown_item"], 1_500);
    assert_eq!(counts.interactions, 200_001);
}

#[test]
fn a_dataset_of_nothing_is_not_made_even_if_all_rows_may_be_rejected() {
    let workspace = with_log("log.csv", format!("{LOG}u,i99,1\n"));
    let mut options = workspace.options("items.csv", "log.csv");
    options.max_rejects = 1.0;
    let message = refusal(options);
    assert_says(
        &message,
        &[
            "none of 1 rows of interactions",
            "unknown_item",
            "dataset.rejects.jsonl",
        ],
    );
    assert_eq!(
        workspace.outputs(&["items.csv", "log.csv"]),
        ["dataset.rejects.jsonl"]
    );
}

#[test]
fn locations_with_nothing_to_read_are_named() {
    let workspace = with_log("log.txt", events_csv());
    let said = |interactions: &str| refusal(workspace.options("items.csv", interactions));
    assert_says(
        &said("log.txt"),
        &["log.txt", "unknown format", ".csv", ".parquet"],
    );
    assert_says(&said("nowhere.csv"), &["nowhere.csv", "no such file"]);
    assert_says(&said("*.jsonl"), &["*.jsonl", "no file of a known format"]);
    std::fs::create_dir(workspace.path("empty")).unwrap();
    assert_says(&said("empty"), &["empty", "no file of a known format"]);
    let mut options = workspace.options("items.csv", "log.txt");
    options.interactions = vec!["ftp://host/log.csv".into()];
    assert_says(&refusal(options), &["ftp://host/log.csv"]);
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    let workspace = with_log("log.csv", events_csv());
    let options = || workspace.options("items.csv", "log.csv");
    let mut shares = options();
    shares.max_rejects = 1.5;
    assert_says(&refusal(shares), &["--max-rejects"]);
    let mut window = options();
    window.window = Some(0);
    assert_says(&refusal(window), &["at least 1"]);
    let mut nothing = options();
    nothing.items.clear();
    assert_says(&refusal(nothing), &["--items"]);
    let mut salience = options();
    salience.salience.terms_per_item = 99;
    assert_says(&refusal(salience), &["terms_per_item is 99"]);
    assert_eq!(
        workspace.outputs(&["items.csv", "log.csv"]),
        Vec::<String>::new()
    );
}

#[test]
fn a_dataset_that_is_there_is_kept_unless_it_may_be_replaced() {
    let workspace = with_log("log.csv", events_csv());
    let first = run(workspace.options("items.csv", "log.csv")).unwrap();
    let message = refusal(workspace.options("items.csv", "log.csv"));
    assert_says(&message, &["dataset exists", "--force"]);

    // An ingest that fails leaves the old one.
    workspace.write("bad.csv", "user_id,timestamp\nu,1\n");
    let mut failing = workspace.options("items.csv", "bad.csv");
    failing.force = true;
    refusal(failing);
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    assert_eq!(dataset.manifest().id, first.id);

    workspace.write(
        "other.jsonl",
        events_as(Form::Jsonl, &population::events()[..5]),
    );
    workspace.write("items.parquet", items_as(Form::Parquet));
    let mut options = workspace.options("items.parquet", "other.jsonl");
    options.force = true;
    assert_eq!(run(options).unwrap().counts.interactions, 5);
    assert!(
        workspace
            .outputs(&[])
            .iter()
            .all(|name| !name.contains("partial"))
    );
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let workspace = with_log("log.csv", events_csv());
    let mut options = workspace.options("items.csv", "log.csv");
    options.out = workspace.location("log.csv/dataset");
    assert_says(&refusal(options), &["log.csv", "choose another place"]);
}
