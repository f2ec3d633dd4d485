//! Interactions: read, their items looked up, sorted by user and time, cut into windows if asked.

use super::IngestError;
use super::cell::{Cell, Refusal};
use super::order::OrderCheck;
use super::pipeline::Ingest;
use super::progress::Phase;
use super::rejects::{InputKind, Position, Reason, Rejects};
use super::sorted::{InteractionSorter, PlacedInteraction, SortedInteractions};
use super::source::Source;
use crate::catalogue::Catalogue;
use crate::dataset::{CATALOGUE_FILE, InputPlace};
use crate::history::Interaction;

/// Between two looks at whether to go on.
const INTERACTIONS_PER_CHECK: u64 = 4_096;

/// Sorted interactions, each once.
pub(super) struct UniqueInteractions {
    sorted: SortedInteractions,
    last: Option<PlacedInteraction>,
    seen: u64,
    order: OrderCheck,
}

/// Reads all interactions and sorts them. Needs the catalogue to be there.
pub(super) fn sort(
    ingest: &Ingest<'_>,
    sources: &[Source],
    rejects: &mut Rejects,
) -> Result<UniqueInteractions, IngestError> {
    let bytes = sources.iter().map(|source| source.bytes).sum();
    ingest.progress.begin(Phase::Interactions, bytes);
    let catalogue = Catalogue::open(&ingest.folder.join(CATALOGUE_FILE))?;
    let mut sorter = InteractionSorter::new(ingest.options.memory, &ingest.scratch);
    let mut take = |position: Position, cells: &[Cell<'_>]| {
        let placed = match interaction(cells, position, &catalogue) {
            Ok(placed) => placed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        sorter.insert(&placed).map_err(ingest.scratch_error())?;
        Ok(Ok(()))
    };
    let fields = ingest.options.fields.interaction_columns();
    ingest.read(
        sources,
        InputKind::Interactions,
        &fields,
        rejects,
        &mut take,
    )?;
    let order = OrderCheck::default();
    match ingest.options.window {
        None => UniqueInteractions::of(ingest, Phase::Shards, sorter, order),
        Some(window) => {
            let unique = UniqueInteractions::of(ingest, Phase::Windows, sorter, order)?;
            windows(ingest, unique, window, rejects)
        }
    }
}

/// Makes a user of every `window` interactions of a user, and sorts again: a window's hash is not
/// its user's.
fn windows(
    ingest: &Ingest<'_>,
    mut interactions: UniqueInteractions,
    window: usize,
    rejects: &mut Rejects,
) -> Result<UniqueInteractions, IngestError> {
    // Both sorters are at work: one is read while the other is filled.
    let mut windows = InteractionSorter::new(ingest.options.memory, &ingest.scratch);
    let mut user = String::new();
    let mut count = 0;
    while let Some(mut placed) = interactions.next(ingest, rejects)? {
        if placed.user != user {
            user.clone_from(&placed.user);
            count = 0;
        }
        placed.user = format!("{user}/{}", count / window);
        count += 1;
        windows.insert(&placed).map_err(ingest.scratch_error())?;
    }
    // Windows are filled in the order of time, so that the check finds nothing to add.
    UniqueInteractions::of(ingest, Phase::Shards, windows, interactions.order)
}

impl UniqueInteractions {
    fn of(
        ingest: &Ingest<'_>,
        phase: Phase,
        sorter: InteractionSorter,
        order: OrderCheck,
    ) -> Result<Self, IngestError> {
        ingest.progress.begin(phase, sorter.len());
        Ok(UniqueInteractions {
            sorted: sorter.finish().map_err(ingest.scratch_error())?,
            last: None,
            seen: 0,
            order,
        })
    }

    /// How many of those that were given out came earlier in the input than an older one of the
    /// same user, and the first of them in the input.
    pub fn out_of_order(&self, rejects: &Rejects) -> (u64, Option<InputPlace>) {
        let place = |Position { file, line }| InputPlace {
            file: rejects.file_name(file),
            line,
        };
        (self.order.count(), self.order.first().map(place))
    }

    /// The next interaction, by (hash of the user, user, time, item). One that is equal in user,
    /// time and item to the one before came later in the input, and is rejected.
    pub fn next(
        &mut self,
        ingest: &Ingest<'_>,
        rejects: &mut Rejects,
    ) -> Result<Option<PlacedInteraction>, IngestError> {
        while let Some((placed, row)) = self.sorted.next().map_err(ingest.scratch_error())? {
            if self.seen.is_multiple_of(INTERACTIONS_PER_CHECK) {
                ingest.progress.check()?;
            }
            self.seen += 1;
            ingest.progress.advance(1);
            if self.last.as_ref().is_none_or(|last| !last.is_same(&placed)) {
                let goes_on = self
                    .last
                    .as_ref()
                    .is_some_and(|last| last.user == placed.user);
                let time = placed.interaction.timestamp;
                self.order.see(!goes_on, time, row, placed.position);
                self.last = Some(placed.clone());
                return Ok(Some(placed));
            }
            let message = format!(
                "user {:?} has this item at this time already, the first row is kept",
                placed.user
            );
            rejects.reject(placed.position, Reason::DuplicateInteraction, &message, "")?;
        }
        Ok(None)
    }
}

impl PlacedInteraction {
    fn is_same(&self, other: &PlacedInteraction) -> bool {
        let of =
            |placed: &PlacedInteraction| (placed.interaction.timestamp, placed.interaction.item);
        of(self) == of(other) && self.user == other.user
    }
}

/// An interaction from the cells of its fields, with an item of the catalogue.
fn interaction(
    cells: &[Cell<'_>],
    position: Position,
    catalogue: &Catalogue,
) -> Result<PlacedInteraction, Refusal> {
    let [user, item, timestamp, weight] = cells else {
        return Err((
            Reason::Unparsable,
            "it has not the cells of an interaction".into(),
        ));
    };
    let user = user.id("user_id")?;
    let id = item.id("item_id")?;
    let timestamp = timestamp.time("timestamp")?;
    let weight = weight.weight("weight")?.unwrap_or(1.0);
    let Some(item) = catalogue.find(&id) else {
        return Err((
            Reason::UnknownItem,
            format!("item {id:?} is not among the items"),
        ));
    };
    Ok(PlacedInteraction {
        user,
        interaction: Interaction {
            item,
            timestamp,
            weight,
        },
        position,
    })
}
