//! Catalogue: every item's id, title, popularity and terms in one file that workers map into
//! memory.
//!
//! # The file
//!
//! All numbers are little-endian. The header (320 bytes) is followed by eleven sections in the
//! order below, each starting at the next multiple of 64 bytes, with nothing but zeros between.
//!
//! | header | bytes |
//! | --- | --- |
//! | magic `SJRNCAT` and a zero | 8 |
//! | format version, bytes of the header | 4, 4 |
//! | terms an item (K), bytes of a term record | 4, 4 |
//! | items (N), terms (V), bytes of the file | 8, 8, 8 |
//! | of each section: offset, length, XXH3-64 of its bytes | 11 x 24 |
//! | XXH3-64 of the header up to here | 8 |
//!
//! | section | bytes |
//! | --- | --- |
//! | term records | N x record: K x `u32` term, `f32` scale, K x `u8` weight, zeros to a multiple of 4 |
//! | popularities | N x `f32`, NaN where there is none |
//! | ends of item ids, item ids | N x `u64`, UTF-8 in strictly ascending byte order |
//! | ends of titles, titles | N x `u64`, UTF-8 |
//! | document frequencies | V x `u32` |
//! | ends of terms, terms | V x `u64`, UTF-8 in strictly ascending byte order |
//! | ends of surfaces, surfaces | V x `u64`, UTF-8 |
//!
//! An item is numbered by the rank of its id, a term by the rank of its stem form. With the default
//! K of 16 a term record is 84 bytes and lies in two or three cache lines; with a K of 12 it is 64
//! bytes and exactly one.

mod error;
mod layout;
mod of_items;
mod reader;
mod record;
mod sections;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

pub use error::CatalogueError;
pub use reader::Catalogue;
pub use writer::{CatalogueSummary, CatalogueWriter};
#[cfg(test)]
mod real_text;
