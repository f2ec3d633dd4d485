//! Which users are near each other in a dataset.

use crc16::{State, XMODEM};
use xxhash_rust::xxh3::xxh3_64;

/// Slots of a Redis Cluster.
const SLOTS: u16 = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 14;

/// The hash that users are in the order of: above, in 14 bits, the slot that their keys have in a Redis
/// Cluster; below, in 50 bits, the upper ones of XXH3 (64 bits, seed 0) of the id in UTF-8.
///
/// A transaction keeps to one slot, so the users that a worker writes together should share theirs. The
/// tag of a user's keys ends at the first `}` of the id. Where nothing is before that, a key has no tag
/// and a slot of its own, with the prefix in it; here, such users have slot 0.
pub fn user_hash(user: &str) -> u64 {
    let tag = user.split('}').next().unwrap_or_default();
    let slot = State::<XMODEM>::calculate(tag.as_bytes()) % SLOTS;
    u64::from(slot) << (u64::BITS - SLOT_BITS) | plain_user_hash(user) >> SLOT_BITS
}

/// The hash that users are in the order of in datasets of format 1.
pub(super) fn plain_user_hash(user: &str) -> u64 {
    xxh3_64(user.as_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redis::cluster_routing::Slot;

    use super::*;
    use crate::keys::Keys;

    fn slot(user: &str) -> Option<Slot> {
        Slot::new((user_hash(user) >> (u64::BITS - SLOT_BITS)) as u16)
    }

    proptest! {
        #[test]
        fn users_are_in_the_order_of_the_slots_of_their_keys(
            user in prop_oneof!["[^}]\\PC*", "[{a-c][{}a-c]{0,6}"],
        ) {
            let keys = Keys::default();
            for key in [keys.names(&user), keys.journeys(&user)] {
                prop_assert_eq!(slot(&user), Some(Slot::for_key(key)));
            }
        }
    }

    #[test]
    fn users_whose_keys_have_no_tag_have_one_slot_and_hashes_of_their_own() {
        assert_eq!(slot("}a"), Slot::new(0));
        assert_eq!(slot("}a"), slot("}b"));
        assert_ne!(user_hash("}a"), user_hash("}b"));
    }
}
