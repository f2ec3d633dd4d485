//! The tables of a report.

use sojourn::evaluation::{
    Cell, Difficulty, Estimate, ExplorationFigures, MethodSummary, NextItem, OURS, RankedBy,
    Spread, Summary, UserFigures,
};

use super::table::Table;

/// Scores that have a table for every kind of mix.
pub const MAIN_SCORES: [(&str, &str); 2] =
    [("ari", "Adjusted Rand index"), ("b_cubed_f1", "B-cubed F1")];

/// Scores that have one for one share of noise.
const OTHER_SCORES: [(&str, &str); 6] = [
    ("recall", "recall"),
    ("pair_f1", "pairwise F1"),
    ("v_measure", "V-measure"),
    ("journeys_per_interest", "journeys per interest"),
    ("coverage", "coverage"),
    ("strays", "strays taken"),
];

/// The share of noise of those: stray clicks as they may be in a real history.
const NOISE: u32 = 10;

/// A kind of mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub difficulty: Difficulty,
    pub noise: u32,
}

impl Kind {
    /// All that there are, in the order of the tables.
    pub fn all(summary: &Summary) -> Vec<Kind> {
        let of = |difficulty| {
            let noises = summary.noises(difficulty).into_iter();
            noises.map(move |noise| Kind { difficulty, noise })
        };
        Difficulty::ALL.into_iter().flat_map(of).collect()
    }

    pub fn said(self) -> String {
        match self.difficulty {
            Difficulty::Window => "windows".into(),
            difficulty => format!("{}, {} % noise", difficulty.as_str(), self.noise),
        }
    }
}

/// Mean of a method over sources, each of which counts the same; none where it was not tried on all
/// that have such mixes.
pub fn mean(
    summary: &Summary,
    method: &MethodSummary,
    kind: Kind,
    value: impl Fn(&Cell) -> Option<Estimate>,
) -> Option<Estimate> {
    let has_mixes = |source: &&String| {
        let mut methods = summary.methods.iter();
        methods.any(|method| method.cell(source, kind.difficulty, kind.noise).is_some())
    };
    let sources = summary.sources.iter().filter(has_mixes);
    let values: Option<Vec<Estimate>> = sources
        .map(|source| value(method.cell(source, kind.difficulty, kind.noise)?))
        .collect();
    let values = values.filter(|values| !values.is_empty())?;
    let number = values.len() as f64;
    let squares = values
        .iter()
        .map(|value| value.half_width * value.half_width);
    Some(Estimate {
        mean: values.iter().map(|value| value.mean).sum::<f64>() / number,
        half_width: squares.sum::<f64>().sqrt() / number,
        // What is said of the mean rests on the weakest of them.
        values: values
            .iter()
            .map(|value| value.values)
            .min()
            .unwrap_or_default(),
    })
}

/// All tables of the mixes.
pub fn of_mixes(summary: &Summary) -> Vec<Table> {
    let mut tables = Vec::new();
    for (score, name) in MAIN_SCORES {
        tables.push(over_sources(summary, score, name));
        tables.push(leads(summary, score, name));
    }
    for source in &summary.sources {
        tables.extend(MAIN_SCORES.map(|(score, name)| of_source(summary, source, score, name)));
    }
    tables.extend(other_scores(summary));
    tables.push(speed(summary));
    tables
}

fn over_sources(summary: &Summary, score: &str, name: &str) -> Table {
    let about = "Means over sources, each of which counts the same, and half of the 95 % interval. Bold: \
                 the best of those that are not told the number of interests.";
    let value = |method: &MethodSummary, kind: Kind| {
        mean(summary, method, kind, |cell| {
            cell.scores.get(score).copied()
        })
    };
    by_kind(summary, &format!("{name}, all sources"), about, &value)
}

fn of_source(summary: &Summary, source: &str, score: &str, name: &str) -> Table {
    let value = |method: &MethodSummary, kind: Kind| {
        let cell = method.cell(source, kind.difficulty, kind.noise)?;
        cell.scores.get(score).copied()
    };
    let about = "Means over mixes, and half of the 95 % interval.";
    by_kind(summary, &format!("{name}, {source}"), about, &value)
}

/// One row a method, one column a kind of mixes.
fn by_kind(
    summary: &Summary,
    title: &str,
    about: &str,
    value: &dyn Fn(&MethodSummary, Kind) -> Option<Estimate>,
) -> Table {
    let there = |kind: &Kind| {
        summary
            .methods
            .iter()
            .any(|method| value(method, *kind).is_some())
    };
    let kinds: Vec<Kind> = Kind::all(summary).into_iter().filter(there).collect();
    let best = |kind: &Kind| {
        let untold = summary.methods.iter().filter(|method| !method.told_k);
        untold
            .filter_map(|method| Some(value(method, *kind)?.mean))
            .fold(f64::MIN, f64::max)
    };
    let best: Vec<f64> = kinds.iter().map(best).collect();
    let mut table = Table::new(title, about, &["method"]);
    table.headings.extend(kinds.iter().map(|kind| kind.said()));
    for method in &summary.methods {
        let mut row = vec![labelled(method)];
        for (kind, best) in kinds.iter().zip(&best) {
            row.push(match value(method, *kind) {
                Some(found) if found.mean == *best && !method.told_k => {
                    format!("**{}**", estimate(found))
                }
                Some(found) => estimate(found),
                None => String::new(),
            });
        }
        table.rows.push(row);
    }
    table
}

fn leads(summary: &Summary, score: &str, name: &str) -> Table {
    let kinds = Kind::all(summary);
    let about = "By how much Sojourn is better, mix by mix, and half of the 95 % interval. Bold: above 0 \
                 with all of the interval.";
    let mut table = Table::new(&format!("{name}: the lead of Sojourn"), about, &["method"]);
    table.headings.extend(kinds.iter().map(|kind| kind.said()));
    for method in summary.methods.iter().filter(|method| method.name != OURS) {
        let cell = |kind: &Kind| {
            let lead = mean(summary, method, *kind, |cell| cell.lead.get(score).copied());
            match lead {
                Some(lead) if lead.is_positive() => format!("**{}**", signed(lead)),
                Some(lead) => signed(lead),
                None => String::new(),
            }
        };
        let mut row = vec![labelled(method)];
        row.extend(kinds.iter().map(cell));
        table.rows.push(row);
    }
    table
}

fn other_scores(summary: &Summary) -> Vec<Table> {
    let table = |kind: Kind| {
        let title = format!("Other scores: {}", kind.said());
        let about = "Means over sources, and half of the 95 % interval. Strays taken: of the items of no \
                     interest, the share that is in a journey.";
        let mut table = Table::new(&title, about, &["method"]);
        table
            .headings
            .extend(OTHER_SCORES.map(|(_, name)| name.to_owned()));
        for method in &summary.methods {
            let cell = |(score, _): (&str, &str)| {
                let value = mean(summary, method, kind, |cell| {
                    cell.scores.get(score).copied()
                });
                value.map(estimate).unwrap_or_default()
            };
            let mut row = vec![labelled(method)];
            row.extend(OTHER_SCORES.map(cell));
            table.rows.push(row);
        }
        table
    };
    let kinds = Kind::all(summary).into_iter();
    let is_shown = |kind: &Kind| kind.noise == NOISE || kind.difficulty == Difficulty::Window;
    kinds.filter(is_shown).map(table).collect()
}

fn speed(summary: &Summary) -> Table {
    let about = "Items a second on this machine: from text to what is clustered (terms, embeddings), \
                 clustering alone, and both for items that are in one history each. Ratios are ours to \
                 the method's.";
    let headings = [
        "method",
        "parameters",
        "to represent",
        "to cluster",
        "both",
        "ratio, clustering",
        "ratio, both",
    ];
    let mut table = Table::new("Speed", about, &headings);
    let ours = summary.methods.iter().find(|method| method.name == OURS);
    for method in &summary.methods {
        let Some(both) = method.items_per_second() else {
            continue;
        };
        let rate = |rate: Option<f64>| rate.map(|rate| format!("{rate:.0}")).unwrap_or_default();
        let ratio = |ours: Option<f64>, rate: Option<f64>| {
            let ratio = ours
                .zip(rate)
                .map(|(ours, rate)| format!("{:.3}", ours / rate));
            ratio.unwrap_or_default()
        };
        table.rows.push(vec![
            labelled(method),
            method.parameters.clone(),
            rate(method.represented_per_second),
            rate(method.clustered_per_second),
            rate(Some(both)),
            ratio(
                ours.and_then(|ours| ours.clustered_per_second),
                method.clustered_per_second,
            ),
            ratio(ours.and_then(MethodSummary::items_per_second), Some(both)),
        ]);
    }
    table
}

/// What is found in the histories of datasets.
pub fn of_users(datasets: &[(String, UserFigures)]) -> Table {
    let about = "Users with enough items. Spreads are the tenth, the median and the ninetieth of a \
                 hundred. Ids and members kept: from the journeys of the first 80 % of the interactions \
                 to those of all; members, and any order, as an adjusted Rand index. Takes up: of all users, how \
                 many of the items open a journey; AUC: how well it is told which do, learned from half of \
                 the users and tried on the others, by the regression and by the share of those before.";
    let headings = [
        "dataset",
        "users",
        "items",
        "journeys",
        "1 to 3 %",
        "1 to 8 %",
        "none %",
        "items a journey",
        "days",
        "evergreen %",
        "ongoing %",
        "coverage",
        "ids kept",
        "members kept",
        "any order",
        "takes up %",
        "AUC",
        "AUC of share",
    ];
    let mut table = Table::new("Real users", about, &headings);
    for (name, figures) in datasets {
        let percent = |share: f64| format!("{:.0}", 100.0 * share);
        let exploration = |say: &dyn Fn(&ExplorationFigures) -> String| {
            figures.exploration.as_ref().map_or_else(String::new, say)
        };
        table.rows.push(vec![
            name.clone(),
            figures.users.to_string(),
            spread(figures.items),
            spread(figures.journeys),
            percent(figures.with_1_to_3),
            percent(figures.with_1_to_8),
            percent(figures.with_none),
            spread(figures.length),
            spread(figures.days),
            percent(figures.evergreen),
            percent(figures.ongoing),
            estimate(figures.coverage),
            estimate(figures.ids_kept),
            estimate(figures.members_kept),
            estimate(figures.in_any_order),
            exploration(&|figures| percent(figures.opened)),
            exploration(&|figures| format!("{:.3}", figures.auc)),
            exploration(&|figures| format!("{:.3}", figures.auc_of_share)),
        ]);
    }
    table
}

/// Whether journeys tell what comes next.
pub fn of_next(datasets: &[(String, NextItem)]) -> Table {
    let about = "Of each user the last items are held out, and each is ranked among items that the user \
                 never came to. Means over users, and half of the 95 % interval; leads are \
                 taken user by user. Joins: how often such an item is near enough to a journey to join it, \
                 and how often one of the others is.";
    let headings = [
        "dataset",
        "users",
        "joins",
        "others join",
        "ranked by",
        "recall@10",
        "nDCG@10",
        "lead over the whole history",
    ];
    let mut table = Table::new("The next item", about, &headings);
    for (name, figures) in datasets {
        for ranking in &figures.rankings {
            let lead = match ranking.by {
                RankedBy::History => String::new(),
                _ => signed(ranking.recall_lead),
            };
            table.rows.push(vec![
                name.clone(),
                figures.users.to_string(),
                estimate(figures.joins_a_journey),
                estimate(figures.sampled_joins_a_journey),
                ranking.by.as_str().into(),
                estimate(ranking.recall_at_10),
                estimate(ranking.ndcg_at_10),
                lead,
            ]);
        }
    }
    table
}

fn labelled(method: &MethodSummary) -> String {
    match method.told_k {
        true => format!("{} (told k)", method.label),
        false => method.label.clone(),
    }
}

fn estimate(value: Estimate) -> String {
    format!("{:.3} ± {:.3}", value.mean, value.half_width)
}

fn signed(value: Estimate) -> String {
    format!("{:+.3} ± {:.3}", value.mean, value.half_width)
}

fn spread(spread: Spread) -> String {
    format!("{:.0} / {:.0} / {:.0}", spread.p10, spread.p50, spread.p90)
}
