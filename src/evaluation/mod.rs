//! How good journeys are, in the ways of the source (arXiv 2305.15498):
//!
//! - **Mixes** (its E2): the items of a few curated collections, interleaved as one user would come to
//!   them, with items of other collections in between ([`Source`], [`Mix`]). Each method groups them
//!   ([`Found`]), and [`Agreement`] says how well the collections were recovered; [`Summary`] is all of
//!   that over many mixes.
//! - **Users** (its E1): what is found in the histories of a dataset, and how it changes when the
//!   histories grow or come in another order ([`UserFigures`]).
//! - **The next item** (its RQ6): whether journeys tell what the user did next ([`NextItem`]).
//!
//! What other programs compute with the same mixes is read from the same folder ([`Folder`]).

mod agreement;
mod clusterer;
mod estimate;
mod exploration;
mod folder;
mod method;
mod mixes;
mod next;
mod source;
mod summary;
mod users;

pub use agreement::{Agreement, adjusted_rand_index};
pub use estimate::Estimate;
pub use exploration::ExplorationFigures;
pub use folder::{EvaluationError, Folder, Found, Header, MethodHeader, SourceHeader, file_name};
pub use method::{Method, Parameters, Prepared, find, methods};
pub use mixes::{Difficulty, Half, Mix, MixOptions};
pub use next::{NextItem, NextOptions, RankedBy, Ranking};
pub use source::Source;
pub use summary::{Cell, MethodSummary, OURS, Summary};
pub use users::{Spread, UserFigures, UserOptions};
