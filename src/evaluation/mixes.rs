//! Mixes: histories that are made of a few known interests.

use std::collections::{BTreeMap, HashSet};

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::agreement::LEAST_OF_INTEREST;
use super::source::{Collection, Material, Member, Source, Stream};

/// How many collections are mixed.
const INTERESTS: [u32; 3] = [2, 4, 8];

/// Of the items of a mix, the percentage that is of no interest.
const NOISE: [u32; 3] = [0, 10, 30];

/// Items of one interest in a mix: as many as there are, if that is fewer.
const ITEMS_PER_INTEREST: std::ops::RangeInclusive<usize> = 6..=20;

/// Fewest items of a collection once things that are in another one of the mix are out.
const LEAST_LEFT: usize = 4;

/// How often the next item is of the same interest as the last one, beyond what chance does: people
/// come to several items of an interest in one sitting.
const STICKINESS: f64 = 0.5;

/// How often a mix is drawn again whose collections share too much, before it is given up.
const ATTEMPTS: usize = 50;

/// What a mix may be used for. The halves have no collection, topic or thing in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Half {
    /// To choose parameters.
    Tune,
    /// To say how good they are.
    Test,
}

impl Half {
    /// Both.
    pub const BOTH: [Half; 2] = [Half::Tune, Half::Test];

    /// As in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Half::Tune => "tune",
            Half::Test => "test",
        }
    }
}

/// How alike the interests of a mix are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Difficulty {
    /// Any collections.
    Easy,
    /// Collections of one parent.
    Hard,
    /// No mix, but a part of a real history whose items have labels.
    Window,
}

impl Difficulty {
    /// All of them.
    pub const ALL: [Difficulty; 3] = [Difficulty::Easy, Difficulty::Hard, Difficulty::Window];

    /// As in files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Difficulty::Easy => "easy",
            Difficulty::Hard => "hard",
            Difficulty::Window => "window",
        }
    }
}

/// One history, and what it is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mix {
    /// Unique in its source.
    pub id: String,
    /// What it may be used for.
    pub half: Half,
    /// How alike its interests are.
    pub difficulty: Difficulty,
    /// What all its collections were drawn from, if not from all: the parent of a hard mix. Mixes of one
    /// pool are much alike, and count as one where it is said how sure a mean is.
    pub pool: Option<String>,
    /// Percentage of items that are of no interest, as it was asked for. 0 for windows.
    pub noise: u32,
    /// How many interests there are; of a window, topics of three items or more.
    pub interests: u32,
    /// What they are called, by their numbers.
    pub titles: Vec<String>,
    /// Ids of the items, in the order in which the user came to them.
    pub items: Vec<String>,
    /// Of each item the number of its interest; none for one that is there by chance.
    pub labels: Vec<Option<u32>>,
}

impl Mix {
    /// Mixes of the same group are much alike.
    pub(super) fn group(&self) -> &str {
        self.pool.as_ref().unwrap_or(&self.id)
    }
}

/// What to draw.
#[derive(Clone, Debug)]
pub struct MixOptions {
    /// Mixes of each half, difficulty and number of interests; each is made with every share of noise.
    /// As many windows of each length, at most.
    pub mixes: usize,
    /// How many items a window of a history has.
    pub windows: Vec<usize>,
    /// Of the draw.
    pub seed: u64,
}

impl Source {
    /// Draws mixes, the same for the same seed. Those that differ only in noise are the same but for
    /// that. Where no parent has enough collections, there are no hard ones.
    pub fn draw(&self, options: &MixOptions) -> Vec<Mix> {
        match &self.material {
            Material::Collections(collections) => self.mixes(collections, options),
            Material::Streams(streams) => self.windows(streams, options),
        }
    }

    fn mixes(&self, collections: &[Collection], options: &MixOptions) -> Vec<Mix> {
        let mut mixes = Vec::new();
        for half in Half::BOTH {
            let of_half: Vec<&Collection> = collections
                .iter()
                .filter(|collection| collection.half == half)
                .collect();
            for difficulty in [Difficulty::Easy, Difficulty::Hard] {
                for interests in INTERESTS {
                    let pools = pools(&of_half, difficulty, interests as usize);
                    if pools.is_empty() {
                        continue;
                    }
                    for number in 0..options.mixes {
                        let id = format!(
                            "{}-{}-{}-{interests}-{number:03}",
                            self.name,
                            half.as_str(),
                            difficulty.as_str()
                        );
                        // Of its own, so that more mixes leave the first ones as they are.
                        let mut rng = StdRng::seed_from_u64(options.seed ^ xxh3_64(id.as_bytes()));
                        let drawn = draw(&pools, interests as usize, &mut rng);
                        let Some(drawn) = drawn else { continue };
                        let base = Mix {
                            id,
                            half,
                            difficulty,
                            pool: (difficulty == Difficulty::Hard)
                                .then(|| drawn[0].0.parent.clone()),
                            noise: 0,
                            interests,
                            titles: drawn.iter().map(|(of, _)| of.title.clone()).collect(),
                            items: Vec::new(),
                            labels: Vec::new(),
                        };
                        mixes.extend(self.with_noise(&base, &drawn, &of_half, &mut rng));
                    }
                }
            }
        }
        mixes
    }

    /// The mix of what was drawn, with each share of noise.
    fn with_noise(
        &self,
        base: &Mix,
        drawn: &[Drawn<'_>],
        of_half: &[&Collection],
        rng: &mut StdRng,
    ) -> Vec<Mix> {
        let clean = interleaved(drawn, rng);
        let strays = strays(drawn, of_half, rng);
        let position = |_: &u32| rng.random_range(0..=clean.len());
        let positions: Vec<usize> = strays.iter().map(position).collect();
        let noisy = |noise: u32| {
            let wanted = clean.len() * noise as usize / (100 - noise as usize);
            let wanted = wanted.min(strays.len());
            let mut at_position: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
            for (position, stray) in positions[..wanted].iter().zip(&strays) {
                at_position.entry(*position).or_default().push(*stray);
            }
            let mut items: Vec<(u32, Option<u32>)> = Vec::new();
            for position in 0..=clean.len() {
                let strays = at_position.get(&position).into_iter().flatten();
                items.extend(strays.map(|&stray| (stray, None)));
                items.extend(
                    clean
                        .get(position)
                        .map(|&(item, label)| (item, Some(label))),
                );
            }
            Mix {
                id: format!("{}-{noise:02}", base.id),
                noise,
                items: items.iter().map(|&(item, _)| self.id(item)).collect(),
                labels: items.iter().map(|&(_, label)| label).collect(),
                ..base.clone()
            }
        };
        NOISE.map(noisy).into()
    }

    fn windows(&self, streams: &[Stream], options: &MixOptions) -> Vec<Mix> {
        let mut mixes = Vec::new();
        for stream in streams {
            for &size in &options.windows {
                let windows = stream.items.chunks_exact(size.max(1));
                let windows: Vec<&[(u32, String)]> = windows.collect();
                // Spread over all of the history.
                let step = windows.len().div_ceil(options.mixes.max(1)).max(1);
                for (number, window) in windows.iter().enumerate().step_by(step) {
                    mixes.push(self.window(stream.half, size, number, window));
                }
            }
        }
        mixes
    }

    fn window(&self, half: Half, size: usize, number: usize, window: &[(u32, String)]) -> Mix {
        let mut topics: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, topic) in window {
            *topics.entry(topic).or_default() += 1;
        }
        let numbers: BTreeMap<&str, u32> = topics.keys().copied().zip(0..).collect();
        let interests = topics
            .values()
            .filter(|&&count| count >= LEAST_OF_INTEREST as usize)
            .count();
        Mix {
            id: format!("{}-{}-window-{size}-{number:03}", self.name, half.as_str()),
            half,
            difficulty: Difficulty::Window,
            pool: None,
            noise: 0,
            interests: interests as u32,
            titles: topics.keys().map(|&topic| topic.to_owned()).collect(),
            items: window.iter().map(|&(item, _)| self.id(item)).collect(),
            labels: window
                .iter()
                .map(|(_, topic)| Some(numbers[topic.as_str()]))
                .collect(),
        }
    }

    fn id(&self, item: u32) -> String {
        self.items[item as usize].id.clone()
    }
}

/// A collection, and those of its items that are taken.
type Drawn<'a> = (&'a Collection, Vec<Member>);

/// What the collections of one mix are drawn from: all of them, or those of one parent.
fn pools<'a>(
    collections: &[&'a Collection],
    difficulty: Difficulty,
    interests: usize,
) -> Vec<Vec<&'a Collection>> {
    let mut pools: BTreeMap<&str, Vec<&Collection>> = BTreeMap::new();
    for &collection in collections {
        let pool = match difficulty {
            Difficulty::Hard if collection.parent.is_empty() => continue,
            Difficulty::Hard => collection.parent.as_str(),
            _ => "",
        };
        pools.entry(pool).or_default().push(collection);
    }
    let pools = pools.into_values();
    pools.filter(|pool| pool.len() >= interests).collect()
}

/// Collections of one pool and some items of each, in the order in which they are listed. Things that
/// two of them have are left out.
fn draw<'a>(
    pools: &[Vec<&'a Collection>],
    interests: usize,
    rng: &mut StdRng,
) -> Option<Vec<Drawn<'a>>> {
    for _ in 0..ATTEMPTS {
        let mut pool = pools.choose(rng)?.clone();
        pool.shuffle(rng);
        pool.truncate(interests);
        let mut lists: BTreeMap<u64, u32> = BTreeMap::new();
        for collection in &pool {
            let works: HashSet<u64> = collection.members.iter().map(|m| m.work).collect();
            works
                .into_iter()
                .for_each(|work| *lists.entry(work).or_default() += 1);
        }
        let drawn = pool.into_iter().map(|collection| {
            let mut seen = HashSet::new();
            let own = collection.members.iter().copied();
            let mut own: Vec<Member> = own
                .filter(|member| lists[&member.work] == 1 && seen.insert(member.work))
                .collect();
            let most = rng.random_range(ITEMS_PER_INTEREST);
            while own.len() > most {
                own.remove(rng.random_range(0..own.len()));
            }
            (collection, own)
        });
        let drawn: Vec<Drawn<'_>> = drawn.collect();
        if drawn.iter().all(|(_, members)| members.len() >= LEAST_LEFT) {
            return Some(drawn);
        }
    }
    None
}

/// The items of all interests with their interests' numbers, as a user would come to them: of each
/// interest in its order, now some of one, now of another.
fn interleaved(drawn: &[Drawn<'_>], rng: &mut StdRng) -> Vec<(u32, u32)> {
    let mut left: Vec<std::slice::Iter<'_, Member>> =
        drawn.iter().map(|(_, members)| members.iter()).collect();
    let mut items = Vec::new();
    let mut last: Option<usize> = None;
    loop {
        let remaining: usize = left.iter().map(ExactSizeIterator::len).sum();
        if remaining == 0 {
            return items;
        }
        let stays = last.filter(|&last| left[last].len() > 0 && rng.random_bool(STICKINESS));
        let next = stays.unwrap_or_else(|| {
            // An interest is as likely as it has items left, so that all end at about one time.
            let mut ticket = rng.random_range(0..remaining);
            let wins = |of: &std::slice::Iter<'_, Member>| {
                if ticket < of.len() {
                    return true;
                }
                ticket -= of.len();
                false
            };
            left.iter().position(wins).unwrap_or_default()
        });
        if let Some(member) = left[next].next() {
            items.push((member.item, next as u32));
        }
        last = Some(next);
    }
}

/// Items of other collections that are none of the mix's things, each of another collection as long
/// as there are any; enough for the largest share of noise.
fn strays(drawn: &[Drawn<'_>], of_half: &[&Collection], rng: &mut StdRng) -> Vec<u32> {
    let items: usize = drawn.iter().map(|(_, members)| members.len()).sum();
    let most = NOISE.into_iter().max().unwrap_or_default() as usize;
    let wanted = items * most / (100 - most);
    let mut taken: HashSet<u64> = drawn
        .iter()
        .flat_map(|(collection, _)| &collection.members)
        .map(|member| member.work)
        .collect();
    let is_mixed = |of: &&Collection| drawn.iter().any(|(mixed, _)| std::ptr::eq(*mixed, *of));
    let mut others: Vec<&Collection> = of_half.iter().copied().filter(|of| !is_mixed(of)).collect();
    others.shuffle(rng);
    let mut strays = Vec::new();
    // Once around is nearly always enough; twice, for sources of few collections.
    for collection in others.iter().chain(&others) {
        if strays.len() == wanted {
            break;
        }
        let free: Vec<&Member> = collection
            .members
            .iter()
            .filter(|member| !taken.contains(&member.work))
            .collect();
        if let Some(member) = free.choose(rng) {
            taken.insert(member.work);
            strays.push(member.item);
        }
    }
    strays
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::Item;

    fn options(mixes: usize, seed: u64) -> MixOptions {
        MixOptions {
            mixes,
            windows: vec![200],
            seed,
        }
    }

    /// 40 collections of 12 things under four parents; each has one thing that the next has too.
    fn source() -> Source {
        let mut items = Vec::new();
        let mut collections = Vec::new();
        for number in 0..40_u32 {
            let members = (0..12).map(|position| {
                let item = items.len() as u32;
                items.push(Item {
                    id: format!("s-{item:07}"),
                    ..Item::default()
                });
                let work = u64::from(number * 11 + position);
                Member { item, work }
            });
            let members = members.collect();
            collections.push(Collection {
                title: format!("C{number}"),
                parent: format!("P{}", number % 4),
                half: Half::BOTH[(number / 4 % 2) as usize],
                members,
            });
        }
        Source {
            name: "s".into(),
            items,
            material: Material::Collections(collections),
        }
    }

    /// Number of the collection that an item of [`source`] is in.
    fn collection(id: &str) -> u32 {
        id.trim_start_matches("s-").parse::<u32>().unwrap() / 12
    }

    #[test]
    fn the_same_seed_draws_the_same_and_more_mixes_begin_with_the_same() {
        let source = source();
        let few = source.draw(&options(3, 1));
        assert_eq!(few, source.draw(&options(3, 1)));
        assert_ne!(few, source.draw(&options(3, 2)));
        let many = source.draw(&options(5, 1));
        assert!(few.iter().all(|mix| many.contains(mix)));
        let ids: HashSet<&str> = many.iter().map(|mix| mix.id.as_str()).collect();
        assert_eq!(ids.len(), many.len());
    }

    #[test]
    fn a_mix_has_items_of_its_interests_and_strays_of_none_and_no_thing_twice() {
        let source = source();
        for mix in source.draw(&options(3, 1)) {
            let interests: BTreeMap<u32, u32> = mix
                .labels
                .iter()
                .zip(&mix.items)
                .filter_map(|(label, id)| Some(((*label)?, collection(id))))
                .collect();
            assert_eq!(interests.len(), mix.interests as usize);
            for (label, id) in mix.labels.iter().zip(&mix.items) {
                let of = collection(id);
                match label {
                    Some(label) => {
                        assert_eq!(interests[label], of);
                        assert_eq!(mix.titles[*label as usize], format!("C{of}"));
                    }
                    None => assert!(interests.values().all(|&interest| interest != of)),
                }
                assert_eq!(Half::BOTH[(of / 4 % 2) as usize], mix.half);
            }
            let works: HashSet<u32> = mix
                .items
                .iter()
                .map(|id| collection(id) * 11 + place(id))
                .collect();
            assert_eq!(works.len(), mix.items.len(), "{mix:?}");
            if mix.difficulty == Difficulty::Hard {
                let parents: HashSet<u32> = interests.values().map(|of| of % 4).collect();
                assert_eq!(parents.len(), 1);
            }
        }
    }

    fn place(id: &str) -> u32 {
        id.trim_start_matches("s-").parse::<u32>().unwrap() % 12
    }

    #[test]
    fn mixes_that_differ_in_noise_are_the_same_but_for_the_strays() {
        let mixes = source().draw(&options(3, 1));
        for of_one in mixes.chunks(NOISE.len()) {
            let known = |mix: &Mix| -> Vec<(String, u32)> {
                let all = mix.items.iter().cloned().zip(&mix.labels);
                all.filter_map(|(id, label)| Some((id, (*label)?)))
                    .collect()
            };
            for mix in of_one {
                assert_eq!(known(mix), known(&of_one[0]));
                let strays = mix.labels.iter().filter(|label| label.is_none()).count();
                let (clean, noise) = (mix.items.len() - strays, mix.noise as usize);
                // No more than two of each of the other collections of the half.
                let most = 2 * (20 - mix.interests as usize);
                assert_eq!(strays, (clean * noise / (100 - noise)).min(most));
            }
        }
    }

    #[test]
    fn no_parent_has_eight_collections_and_so_no_hard_mix_of_eight_is_drawn() {
        let mixes = source().draw(&options(3, 1));
        let drawn = |difficulty, interests| {
            let of = mixes.iter().filter(|m| m.difficulty == difficulty);
            of.filter(|mix| mix.interests == interests).count()
        };
        assert_eq!(drawn(Difficulty::Easy, 8), 2 * 3 * NOISE.len());
        assert_eq!(drawn(Difficulty::Hard, 4), 2 * 3 * NOISE.len());
        assert_eq!(drawn(Difficulty::Hard, 8), 0);
    }

    #[test]
    fn a_window_counts_topics_of_three_items_or_more() {
        let topic = |n: u32| {
            if n < 150 {
                "big".into()
            } else {
                format!("t{}", n / 2)
            }
        };
        let items = (0..400).map(|n| Item {
            id: format!("i{n:03}"),
            ..Item::default()
        });
        let source = Source {
            name: "s".into(),
            items: items.collect(),
            material: Material::Streams(vec![Stream {
                half: Half::Test,
                items: (0..400).map(|n| (n, topic(n))).collect(),
            }]),
        };
        let windows = source.draw(&options(3, 1));
        let interests: Vec<u32> = windows.iter().map(|window| window.interests).collect();
        assert_eq!(interests, [1, 0]);
        assert_eq!(windows[1].items[0], "i200");
        assert!(windows[0].labels.iter().all(Option::is_some));
    }
}
