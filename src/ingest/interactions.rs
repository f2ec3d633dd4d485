//! Interactions: read, their items looked up, sorted by user and time, cut into windows if asked.

use super::IngestError;
use super::fields::{Cell, Refusal};
use super::pipeline::Ingest;
use super::progress::Phase;
use super::rejects::{InputKind, Position, Reason, Rejects};
use super::sorted::{InteractionSorter, PlacedInteraction, SortedInteractions};
use super::source::Source;
use crate::catalogue::Catalogue;
use crate::dataset::{CATALOGUE_FILE, Counts, InputPlace};
use crate::history::Interaction;

/// Sorted interactions, each once.
pub(super) struct UniqueInteractions {
    sorted: SortedInteractions,
    last: Option<PlacedInteraction>,
}

/// Reads all interactions and sorts them. Needs the catalogue to be there.
pub(super) fn sort(
    ingest: &Ingest<'_>,
    sources: &[Source],
    rejects: &mut Rejects,
    counts: &mut Counts,
) -> Result<UniqueInteractions, IngestError> {
    let bytes = sources.iter().map(|source| source.bytes).sum();
    ingest.progress.begin(Phase::Interactions, bytes);
    let catalogue = Catalogue::open(&ingest.folder.join(CATALOGUE_FILE))?;
    let mut sorter = InteractionSorter::new(ingest.options.memory, ingest.scratch);
    let mut order = OrderCheck::default();
    let mut take = |position: Position, cells: &[Cell<'_>]| {
        let placed = match interaction(cells, position, &catalogue) {
            Ok(placed) => placed,
            Err(refusal) => return Ok(Err(refusal)),
        };
        sorter.insert(&placed).map_err(ingest.scratch_error())?;
        order.see(placed);
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
    counts.out_of_order = order.count;
    counts.first_out_of_order = order.first.map(|Position { file, line }| InputPlace {
        file: rejects.file_name(file),
        line,
    });
    let unique = UniqueInteractions::of(ingest, sorter)?;
    match ingest.options.window {
        None => Ok(unique),
        Some(window) => windows(ingest, unique, window, rejects),
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
    let mut windows = InteractionSorter::new(ingest.options.memory, ingest.scratch);
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
    UniqueInteractions::of(ingest, windows)
}

impl UniqueInteractions {
    fn of(ingest: &Ingest<'_>, sorter: InteractionSorter) -> Result<Self, IngestError> {
        ingest.progress.begin(Phase::Shards, sorter.len());
        let sorted = sorter.finish().map_err(ingest.scratch_error())?;
        Ok(UniqueInteractions { sorted, last: None })
    }

    /// The next interaction, by (hash of the user, user, time, item). One that is equal in user,
    /// time and item to the one before came later in the input, and is rejected.
    pub fn next(
        &mut self,
        ingest: &Ingest<'_>,
        rejects: &mut Rejects,
    ) -> Result<Option<PlacedInteraction>, IngestError> {
        while let Some(placed) = self.sorted.next().map_err(ingest.scratch_error())? {
            ingest.progress.advance(1);
            if self.last.as_ref().is_none_or(|last| !last.is_same(&placed)) {
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

/// Counts interactions that stand below a younger one of the same user. It sees what lies in
/// neighbouring rows, which is how sorted files are spoiled; nothing depends on it.
#[derive(Default)]
struct OrderCheck {
    previous: Option<PlacedInteraction>,
    count: u64,
    first: Option<Position>,
}

impl OrderCheck {
    fn see(&mut self, placed: PlacedInteraction) {
        if let Some(previous) = &self.previous
            && previous.user == placed.user
            && placed.interaction.timestamp < previous.interaction.timestamp
        {
            self.count += 1;
            self.first.get_or_insert(placed.position);
        }
        self.previous = Some(placed);
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
