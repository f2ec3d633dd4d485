//! A catalogue of items that are in memory already.

use super::{Catalogue, CatalogueError, CatalogueWriter};
use crate::item::Item;
use crate::terms::{Salience, SalienceLearner, SalienceMethod, SalienceParams, VocabularyCounter};

/// Items that are analysed at once.
const BATCH: usize = 1024;

impl Catalogue {
    /// The catalogue of these items, in strictly ascending order of ids. Its file is unlinked once it
    /// is mapped, and goes away with the catalogue. A salience that is to be learned is learned from
    /// these items alone.
    ///
    /// # Errors
    /// When there is no room for scratch files, or what [`CatalogueWriter`] refuses.
    pub fn of_items(
        items: &[Item],
        salience: &SalienceParams,
    ) -> Result<Catalogue, CatalogueError> {
        let scratch = tempfile::tempdir().map_err(|source| CatalogueError::Io {
            action: "make scratch files in",
            path: std::env::temp_dir(),
            source,
        })?;
        let mut counter = VocabularyCounter::new(salience, 0, scratch.path())?;
        for batch in items.chunks(BATCH) {
            counter.add(batch)?;
        }
        let vocabulary = counter.finish()?;
        let salience = match salience.method {
            SalienceMethod::Formula => Salience::formula(salience),
            SalienceMethod::Learned => {
                let mut learner = SalienceLearner::new(salience, &vocabulary, Vec::new());
                learner.add(items);
                learner.finish()
            }
        };
        let path = scratch.path().join("catalogue");
        let mut writer = CatalogueWriter::create(&path, &vocabulary, &salience, scratch.path())?;
        for batch in items.chunks(BATCH) {
            writer.add(batch)?;
        }
        writer.finish(|_| {})?;
        Catalogue::open(&path)
    }
}
