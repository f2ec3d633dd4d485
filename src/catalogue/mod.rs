//! Catalogue: every item's id, title, popularity and terms in one file that workers map into
//! memory.

mod error;
mod reader;
mod writer;

pub use error::CatalogueError;
pub use reader::Catalogue;
pub use writer::{CatalogueSummary, CatalogueWriter};
