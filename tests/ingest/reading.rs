//! Reading a dataset: whole, from elsewhere, damaged, of another version, or not there.

use std::fs;

use sojourn::dataset::{
    CATALOGUE_FILE, FileSummary, MANIFEST_FILE, Manifest, ShardIndex, ShardWriter,
};
use sojourn::history::{History, Interaction};
use sojourn::item::ItemIndex;

use crate::population::{events_csv, items_csv};
use crate::workspace::{Workspace, assert_says, block_on, open, run};

fn workspace() -> (Workspace, Manifest) {
    let workspace = Workspace::new();
    workspace.write("items.csv", items_csv());
    workspace.write("log.csv", events_csv());
    let manifest = run(workspace.options("items.csv", "log.csv")).unwrap();
    (workspace, manifest)
}

fn open_error(workspace: &Workspace) -> String {
    open(&workspace.location("dataset"), &workspace.path("cache"))
        .unwrap_err()
        .to_string()
}

/// What is said when all of the dataset is read.
fn verify_error(workspace: &Workspace) -> String {
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    block_on(dataset.verify()).unwrap_err().to_string()
}

fn rewrite_manifest(workspace: &Workspace, change: impl FnOnce(&mut Manifest)) {
    let path = workspace.path("dataset").join(MANIFEST_FILE);
    let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    manifest.id = manifest.content_id();
    fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
}

#[test]
fn a_dataset_is_read_by_path_and_by_url_and_is_whole() {
    let (workspace, manifest) = workspace();
    let path = workspace.location("dataset");
    for location in [path.clone(), format!("file://{path}"), format!("{path}/")] {
        assert_eq!(block_on(Manifest::load(&location)).unwrap(), manifest);
        let dataset = open(&location, &workspace.path("cache")).unwrap();
        block_on(dataset.verify()).unwrap();
    }
    assert!(
        !workspace.path("cache").exists(),
        "a local catalogue is mapped where it is"
    );
}

#[test]
fn a_dataset_can_be_read_by_others_than_its_maker() {
    use std::os::unix::fs::PermissionsExt;
    let (workspace, _) = workspace();
    let plain = workspace.path("plain");
    fs::create_dir(&plain).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&workspace.path("dataset")), mode(&plain));
    assert_eq!(
        mode(&workspace.path("dataset/catalogue.sjc")),
        mode(&workspace.path("items.csv"))
    );
}

#[test]
fn what_is_not_there_is_named() {
    let (workspace, _) = workspace();
    fs::remove_file(workspace.path("dataset/shards/00000.parquet")).unwrap();
    assert_says(
        &verify_error(&workspace),
        &["shards/00000.parquet is missing"],
    );
    fs::remove_file(workspace.path("dataset/manifest.json")).unwrap();
    assert_says(
        &open_error(&workspace),
        &["manifest.json is missing", "sojourn ingest"],
    );
    fs::remove_dir_all(workspace.path("dataset")).unwrap();
    assert_says(
        &open_error(&workspace),
        &["/dataset", "manifest.json is missing"],
    );
    let dataset = open("ftp://host/dataset", &workspace.path("cache"));
    assert_says(&dataset.unwrap_err().to_string(), &["ftp://host/dataset"]);
}

#[test]
fn a_shard_that_does_not_exist_is_named() {
    let (workspace, _) = workspace();
    let dataset = open(&workspace.location("dataset"), &workspace.path("cache")).unwrap();
    let error = block_on(dataset.read_shard(ShardIndex(7)))
        .unwrap_err()
        .to_string();
    assert_says(&error, &["has 1 shards", "number 7"]);
}

#[test]
fn a_dataset_of_a_newer_version_is_refused_by_its_number() {
    let (workspace, _) = workspace();
    rewrite_manifest(&workspace, |manifest| manifest.format = 9);
    assert_says(&open_error(&workspace), &["format is 9", "upgrade"]);
}

#[test]
fn a_manifest_that_was_changed_is_refused() {
    let (workspace, _) = workspace();
    let path = workspace.path("dataset/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    assert_says(&open_error(&workspace), &["manifest.json is damaged"]);
    let sha256 = block_on(async { serde_json::from_str::<Manifest>(&text).unwrap() })
        .catalogue
        .sha256;
    fs::write(&path, text.replace(&sha256, &"0".repeat(64))).unwrap();
    assert_says(&open_error(&workspace), &["manifest.json is damaged", "id"]);
}

#[test]
fn a_shard_that_was_changed_or_cut_is_refused() {
    let (workspace, _) = workspace();
    let path = workspace.path("dataset/shards/00000.parquet");
    let content = fs::read(&path).unwrap();
    let mut changed = content.clone();
    changed[content.len() / 2] ^= 1;
    fs::write(&path, changed).unwrap();
    assert_says(
        &verify_error(&workspace),
        &["shards/00000.parquet is damaged", "checksum"],
    );
    fs::write(&path, &content[..content.len() - 9]).unwrap();
    assert_says(
        &verify_error(&workspace),
        &["shards/00000.parquet is damaged", "bytes instead of"],
    );
}

#[test]
fn a_shard_with_the_right_checksum_but_cut_when_it_was_written_is_refused() {
    let (workspace, _) = workspace();
    let path = workspace.path("dataset/shards/00000.parquet");
    let content = fs::read(&path).unwrap();
    fs::write(&path, &content[..content.len() - 9]).unwrap();
    rewrite_manifest(&workspace, |manifest| {
        let file = &mut manifest.shards[0].file;
        *file = FileSummary::of_file(&path, file.name.clone()).unwrap();
    });
    assert_says(
        &verify_error(&workspace),
        &["shards/00000.parquet is damaged"],
    );
}

#[test]
fn a_shard_that_names_an_item_that_the_catalogue_has_not_is_refused() {
    let (workspace, _) = workspace();
    let path = workspace.path("dataset/shards/00000.parquet");
    let interaction = Interaction {
        item: ItemIndex(12),
        timestamp: 0,
        weight: 1.0,
    };
    let mut writer = ShardWriter::create(&path).unwrap();
    writer
        .write(&History {
            user: "u".into(),
            interactions: vec![interaction],
        })
        .unwrap();
    writer.finish().unwrap();
    rewrite_manifest(&workspace, |manifest| {
        let file = &mut manifest.shards[0].file;
        *file = FileSummary::of_file(&path, file.name.clone()).unwrap();
    });
    assert_says(&verify_error(&workspace), &["item 12", "catalogue has 12"]);
}

#[test]
fn a_catalogue_that_was_changed_is_refused() {
    let (workspace, _) = workspace();
    let path = workspace.path("dataset").join(CATALOGUE_FILE);
    let mut content = fs::read(&path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs::write(&path, content).unwrap();
    assert_says(&open_error(&workspace), &["catalogue.sjc", "damaged"]);
}
