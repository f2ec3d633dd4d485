//! Where rows are, and which columns are which fields.

use sojourn::ingest::{FieldMap, IngestOptions};

use crate::population::{self, events_as, events_csv, items_csv};
use crate::workspace::{Workspace, assert_says, events, open, refusal, run};

/// The same rows in several files, and a file that is none of the input.
fn in_parts(workspace: &Workspace) {
    let events = population::events();
    for (part, events) in events.chunks(events.len() / 3).enumerate() {
        let form = population::Form::Csv(b',');
        workspace.write(&format!("log/part-{part}.csv"), events_as(form, events));
    }
    workspace.write("log/README.md", "# Not rows");
    workspace.write("items.csv", items_csv());
    workspace.write("log.csv", events_csv());
}

#[test]
fn a_folder_a_glob_and_a_list_of_files_are_the_same_as_one_file() {
    let workspace = Workspace::new();
    in_parts(&workspace);
    let expected = run(workspace.options("items.csv", "log.csv")).unwrap();
    let parts = |numbers: &[u32]| -> Vec<String> {
        let name = |number| workspace.location(&format!("log/part-{number}.csv"));
        numbers.iter().map(name).collect()
    };
    let mut overlapping = parts(&[3, 1]);
    overlapping.push(workspace.location("log/part-*.csv"));
    let locations = [
        vec![workspace.location("log")],
        vec![workspace.location("log/*.csv")],
        vec![format!("file://{}", workspace.location("log"))],
        parts(&[2, 0, 3, 1]),
        overlapping,
    ];
    for interactions in locations {
        let mut options = workspace.options("items.csv", "log.csv");
        options.interactions = interactions.clone();
        options.force = true;
        let manifest = run(options).unwrap();
        assert_eq!(manifest.id, expected.id, "{interactions:?}");
        assert_eq!(manifest.counts.rejects, expected.counts.rejects);
    }
}

#[test]
fn an_empty_part_in_a_folder_is_no_error() {
    let workspace = Workspace::new();
    in_parts(&workspace);
    workspace.write("log/part-9.csv", "");
    workspace.write("log/part-8.csv", "user_id,item_id,timestamp\n");
    let manifest = run(workspace.options("items.csv", "log")).unwrap();
    assert_eq!(
        manifest.counts.interactions,
        population::events().len() as u64
    );
}

#[test]
fn columns_are_mapped_to_fields_and_joined() {
    let workspace = Workspace::new();
    workspace.write(
        "items.csv",
        "imdb,name,genres,cast\n1,Alien,Horror|Space,Weaver\n",
    );
    workspace.write("log.csv", "who,imdb,when,stars\nu,1,5,0.5\n");
    let mut options = workspace.options("items.csv", "log.csv");
    options.fields = FieldMap::parse(
        "item_id=imdb, title=name, tags=genres+cast, user_id=who, timestamp=when, weight=stars",
    )
    .unwrap();
    options.salience.min_df = 1;
    run(options).unwrap();
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    assert_eq!(events(&dataset)["u"], [("1".to_owned(), 5000, 0.5)]);
    let catalogue = dataset.catalogue();
    let mut terms: Vec<&str> = catalogue
        .terms(catalogue.find("1").unwrap())
        .map(|(id, _)| catalogue.surface(id))
        .collect();
    terms.sort_unstable();
    for expected in ["horror", "space", "weaver"] {
        assert!(
            terms.iter().any(|term| term.to_lowercase() == expected),
            "{terms:?}"
        );
    }
}

#[test]
fn a_mapping_in_tables_names_columns_of_items_and_interactions_apart() {
    let workspace = Workspace::new();
    workspace.write("items.csv", "sku,title\n1,Kettle\n");
    workspace.write("log.csv", "user_id,product,timestamp\nu,1,5\n");
    let mut options = workspace.options("items.csv", "log.csv");
    let tables = r#"{"items": {"item_id": "sku"}, "interactions": {"item_id": ["product"]}}"#;
    options.fields = serde_json::from_str(tables).unwrap();
    assert_eq!(run(options).unwrap().counts.interactions, 1);

    let unknown = serde_json::from_str::<FieldMap>(r#"{"items": {"weight": "x"}}"#);
    assert_says(
        &unknown.unwrap_err().to_string(),
        &["\"weight\"", "item_id, title"],
    );
}

#[test]
fn a_mapped_column_must_be_there_even_if_its_field_is_optional() {
    let workspace = Workspace::new();
    workspace.write("items.csv", "item_id,title\n1,Kettle\n");
    workspace.write("log.csv", "user_id,item_id,timestamp\nu,1,5\n");
    let mut options = workspace.options("items.csv", "log.csv");
    options.fields = FieldMap::parse("tags=genre").unwrap();
    assert_says(
        &refusal(options),
        &["items.csv", "\"genre\"", "tags", "item_id, title"],
    );
}

#[test]
fn every_column_that_a_field_is_joined_of_must_be_there_in_every_format() {
    for name in ["items.jsonl", "items.csv"] {
        let workspace = Workspace::new();
        match name {
            "items.csv" => workspace.write(name, "item_id,title,genres\n1,Alien,Horror\n"),
            _ => workspace.write(
                name,
                "{\"item_id\":1,\"title\":\"Alien\",\"genres\":[\"Horror\"]}\n",
            ),
        };
        workspace.write("log.csv", "user_id,item_id,timestamp\nu,1,5\n");
        let mut options = workspace.options(name, "log.csv");
        options.fields = FieldMap::parse("tags=genres+keywrods").unwrap();
        assert_says(&refusal(options), &[name, "\"keywrods\"", "tags", "genres"]);
    }
}

#[test]
fn a_folder_is_read_with_its_folders_and_without_what_jobs_keep_for_themselves() {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write(
        "log/day=1/part-0.csv",
        "user_id,item_id,timestamp\nu,i00,1\n",
    );
    workspace.write(
        "log/day=2/part-0.csv",
        "user_id,item_id,timestamp\nu,i00,2\n",
    );
    workspace.write("log/_temporary/part-0.csv", "half a row");
    workspace.write("log/day=2/.part-0.csv.crc", "none");
    let manifest = run(workspace.options("items.csv", "log")).unwrap();
    assert_eq!(manifest.counts.interactions, 2);
}

#[test]
fn one_log_that_is_named_in_two_ways_is_read_once() {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write("log.csv", "user_id,item_id,timestamp\nu,i00,1\n");
    let mut options = workspace.options("items.csv", "log.csv");
    options.interactions.push(workspace.location("./log.csv"));
    let manifest = run(options).unwrap();
    assert_eq!(
        (manifest.counts.interactions, manifest.counts.rejects.len()),
        (1, 0)
    );
}

#[test]
fn items_may_come_from_the_log_and_an_item_counts_once_there() {
    let workspace = Workspace::new();
    workspace.write(
        "log.csv",
        "user_id,item_id,timestamp,title\nu,a,1,First\nu,b,2,Other\nv,a,3,Second\n",
    );
    let manifest = run(workspace.options("log.csv", "log.csv")).unwrap();
    assert_eq!(
        (manifest.counts.items, manifest.counts.interactions),
        (2, 3)
    );
    assert_eq!(manifest.counts.repeated_items, 1);
    assert!(manifest.counts.rejects.is_empty());
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let catalogue = dataset.catalogue();
    assert_eq!(catalogue.title(catalogue.find("a").unwrap()), "First");
}

#[test]
fn movielens_is_read_as_it_is_published() {
    let workspace = Workspace::new();
    workspace.write(
        "ml/movies.csv",
        "movieId,title,genres\n1,Toy Story (1995),Adventure|Animation\n2,\"American President, The (1995)\",Comedy\n",
    );
    workspace.write(
        "ml/ratings.csv",
        "userId,movieId,rating,timestamp\n7,1,4.0,964982703\n7,2,3.5,964981247\n",
    );
    workspace.write(
        "ml/tags.csv",
        "userId,movieId,tag,timestamp\n7,1,pixar,1139045764\n",
    );
    workspace.write("ml/links.csv", "movieId,imdbId,tmdbId\n1,0114709,862\n");
    let options = IngestOptions::new("-", "-", &workspace.location("dataset"));
    let manifest = run(options.movielens(&workspace.location("ml")).unwrap()).unwrap();
    assert_eq!(
        (manifest.counts.items, manifest.counts.interactions),
        (2, 2)
    );
    assert_eq!(manifest.counts.out_of_order, 1);
    let place = manifest.counts.first_out_of_order.unwrap();
    assert_eq!((place.file.ends_with("ratings.csv"), place.line), (true, 2));
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let expected = [
        ("2".to_owned(), 964_981_247_000, 3.5),
        ("1".to_owned(), 964_982_703_000, 4.0),
    ];
    assert_eq!(events(&dataset)["7"], expected);
}

#[test]
fn movielens_older_files_are_read_with_their_latin_letters() {
    let workspace = Workspace::new();
    workspace.write(
        "ml/movies.dat",
        b"1::Toy Story (1995)::Animation\n73::Mis\xe9rables, Les (1995)::Drama\n",
    );
    workspace.write("ml/ratings.dat", "1::73::5::978300760\n");
    workspace.write("ml/users.dat", "1::F::1::10::48067\n");
    let options = IngestOptions::new("-", "-", &workspace.location("dataset"));
    let manifest = run(options.movielens(&workspace.location("ml")).unwrap()).unwrap();
    assert_eq!(
        (manifest.counts.items, manifest.counts.interactions),
        (2, 1)
    );
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let catalogue = dataset.catalogue();
    assert_eq!(
        catalogue.title(catalogue.find("73").unwrap()),
        "Misérables, Les (1995)"
    );
}

#[test]
fn movielens_of_100_000_ratings_is_read_with_the_genres_of_its_columns() {
    let workspace = Workspace::new();
    let flags = |genres: &[usize]| {
        let flags: Vec<&str> = (0..19)
            .map(|n| if genres.contains(&n) { "1" } else { "0" })
            .collect();
        flags.join("|")
    };
    let mut items = format!(
        "1|Toy Story (1995)|01-Jan-1995||http://imdb|{}\n",
        flags(&[3, 5])
    );
    items += &format!(
        "2|Cl\u{e9}o (1961)|01-Jan-1961||http://imdb|{}\n",
        flags(&[8])
    );
    let latin: Vec<u8> = items.chars().map(|c| c as u8).collect();
    workspace.write("ml-100k/u.item", latin);
    workspace.write(
        "ml-100k/u.data",
        "196\t2\t3\t881250949\n196\t1\t5\t881250950\n",
    );
    workspace.write("ml-100k/u.genre", "unknown|0\n");
    let options = IngestOptions::new("-", "-", &workspace.location("dataset"));
    let mut options = options.movielens(&workspace.location("ml-100k")).unwrap();
    options.salience.min_df = 1;
    run(options).unwrap();
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let expected = [
        ("2".to_owned(), 881_250_949_000, 3.0),
        ("1".to_owned(), 881_250_950_000, 5.0),
    ];
    assert_eq!(events(&dataset)["196"], expected);
    let catalogue = dataset.catalogue();
    assert_eq!(
        catalogue.title(catalogue.find("2").unwrap()),
        "Cl\u{e9}o (1961)"
    );
    let terms = catalogue.terms(catalogue.find("1").unwrap());
    let terms: Vec<String> = terms
        .map(|(id, _)| catalogue.surface(id).to_lowercase())
        .collect();
    assert!(terms.contains(&"animation".to_owned()), "{terms:?}");
}

#[test]
fn a_folder_that_is_not_movielens_is_said_to_be_none() {
    let workspace = Workspace::new();
    let options = IngestOptions::new("-", "-", &workspace.location("dataset"));
    let error = options
        .movielens(&workspace.location("ml"))
        .unwrap_err()
        .to_string();
    assert_says(&error, &["movies.csv", "ratings.dat", "/ml"]);
}
