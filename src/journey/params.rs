//! How journeys are found.

use serde::{Deserialize, Serialize};

/// Whether an item joins one journey or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assign {
    /// The most similar journey.
    Nearest,
    /// Every journey that is similar enough, as in the source.
    Every,
}

/// Parameters of the clustering. [`JourneyParams::default`] is the refined algorithm;
/// [`JourneyParams::plain`] the one of the source.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JourneyParams {
    /// Least cosine between an item and a journey that it joins.
    pub epsilon: f32,
    /// Whether an item joins one journey or several.
    pub assign: Assign,
    /// How close two journeys have to be to become one, as a share of how much the items of the
    /// history have in common; none: journeys are not merged.
    ///
    /// Two single items become one journey where their cosine reaches this share of the sum of an
    /// item's cosines to all others, in the mean over the history; larger journeys have to be closer.
    /// So the threshold follows each history: high where everything is about one subject, low where
    /// the texts are short.
    pub merge: Option<f32>,
    /// Whether every item is offered once more to the journeys as they ended up.
    pub reassign: bool,
    /// Journeys of this many items or fewer are dropped.
    pub drop_at_most: u32,
    /// Journeys are dropped where the chance that two of their items are about one thing is below
    /// this, 0 to 1.
    pub least_confidence: f32,
    /// Days in which the weight of an interaction halves, as seen from the end of the dataset; none: it
    /// stays. What has faded counts less in a journey's strength, and so in its rank.
    pub half_life_days: Option<f32>,
    /// Only this many distinct items of a history are looked at, those that the user came to or came
    /// back to last, so that one robot account cannot hold up a shard. The rest is counted. Time is up to
    /// quadratic in it, where items meet and never join, and so is memory where a great many journeys are
    /// found and all are similar: there is no value for "all", and a large one is as good as none.
    pub max_history: u32,
    /// Only this many most recent items of a journey are listed in its result; `size` has the true
    /// number.
    pub max_listed_items: u32,
}

impl Default for JourneyParams {
    /// The thresholds are the best of a grid on average over mixes of four curated collections from
    /// three sources and the demo's population; around them the score is flat.
    fn default() -> Self {
        JourneyParams {
            epsilon: 0.1,
            assign: Assign::Nearest,
            merge: Some(0.014),
            reassign: true,
            drop_at_most: 2,
            least_confidence: 0.35,
            half_life_days: None,
            max_history: 20_000,
            max_listed_items: 200,
        }
    }
}

/// A parameter that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{name} is {value}, and must be {bound}")]
pub struct InvalidParams {
    name: &'static str,
    value: String,
    bound: &'static str,
}

impl JourneyParams {
    /// The plain algorithm of the source: an item joins every journey that is similar enough, and
    /// nothing is merged or moved afterwards.
    pub fn plain() -> Self {
        JourneyParams {
            assign: Assign::Every,
            merge: None,
            reassign: false,
            least_confidence: 0.0,
            ..JourneyParams::default()
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// The first parameter that is out of its range.
    pub fn validate(&self) -> Result<(), InvalidParams> {
        let cosine = |name, value: f32| {
            if value > 0.0 && value <= 1.0 {
                return Ok(());
            }
            let bound = "above 0 and at most 1";
            Err(InvalidParams {
                name,
                value: value.to_string(),
                bound,
            })
        };
        cosine("epsilon", self.epsilon)?;
        if let Some(merge) = self.merge {
            cosine("merge", merge)?;
        }
        if !(0.0..=1.0).contains(&self.least_confidence) {
            return Err(InvalidParams {
                name: "least_confidence",
                value: self.least_confidence.to_string(),
                bound: "at least 0 and at most 1",
            });
        }
        if let Some(days) = self.half_life_days
            && !(days.is_finite() && days > 0.0)
        {
            return Err(InvalidParams {
                name: "half_life_days",
                value: days.to_string(),
                bound: "above 0",
            });
        }
        let positive = |name, value: u32| {
            if value > 0 {
                return Ok(());
            }
            Err(InvalidParams {
                name,
                value: value.to_string(),
                bound: "at least 1",
            })
        };
        positive("max_history", self.max_history)?;
        positive("max_listed_items", self.max_listed_items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_outside_zero_to_one_is_refused_by_name() {
        for epsilon in [0.0, -0.1, 1.1, f32::NAN] {
            let params = JourneyParams {
                epsilon,
                ..JourneyParams::default()
            };
            assert!(
                params
                    .validate()
                    .unwrap_err()
                    .to_string()
                    .starts_with("epsilon is")
            );
        }
        assert_eq!(JourneyParams::default().validate(), Ok(()));
        assert_eq!(JourneyParams::plain().validate(), Ok(()));
    }
}
