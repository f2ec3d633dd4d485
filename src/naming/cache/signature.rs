//! What equal journeys have in common.

use std::fmt;

use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The version of the checks that a name has passed before it is kept. Whoever makes them stricter
/// counts it up.
const CHECKS: &str = "1";

/// Bits of a user's hash. So few that of hundreds of millions of users a dozen have the same: a hash
/// tells two users apart, and not who they are.
const USER_BITS: u32 = 24;

/// What all questions of a namer have in common: the start of every signature.
#[derive(Clone)]
pub(in crate::naming) struct Basis(Sha256);

impl fmt::Debug for Basis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Basis").finish_non_exhaustive()
    }
}

/// What a name hangs on: who is asked, how, and what is said of the journey. A cryptographic hash,
/// since titles are strangers' text, and nobody may make two that are taken for one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::naming) struct Signature {
    /// Is in the names of keys.
    public: u128,
    /// Is known only to those who know what was said.
    secret: u64,
}

impl Basis {
    pub(in crate::naming) fn new<'a>(parts: impl IntoIterator<Item = &'a str>) -> Basis {
        let mut hash = Sha256::new();
        for part in [CHECKS].into_iter().chain(parts) {
            add(&mut hash, part);
        }
        Basis(hash)
    }

    /// The signature of a journey of which this is said.
    pub(in crate::naming) fn sign<'a>(
        &self,
        terms: impl ExactSizeIterator<Item = &'a str>,
        titles: impl ExactSizeIterator<Item = &'a str>,
    ) -> Signature {
        let mut hash = self.0.clone();
        hash.update((terms.len() as u64).to_le_bytes());
        for text in terms.chain(titles) {
            add(&mut hash, text);
        }
        let hash: [u8; 32] = hash.finalize().into();
        let part = |from: usize| u128::from_le_bytes(std::array::from_fn(|at| hash[from + at]));
        Signature {
            public: part(0),
            secret: part(16) as u64,
        }
    }
}

/// The length first, so that no two lists of texts are the same bytes.
fn add(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text);
}

impl Signature {
    /// A short hash of a user, that of the same user under another signature being another.
    pub(super) fn user(self, user: &str) -> u64 {
        xxh3_64_with_seed(user.as_bytes(), self.secret) >> (u64::BITS - USER_BITS)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.public)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(basis: &[&str], terms: &[&str], titles: &[&str]) -> Signature {
        let basis = Basis::new(basis.iter().copied());
        basis.sign(terms.iter().copied(), titles.iter().copied())
    }

    #[test]
    fn journeys_are_equal_when_the_same_is_said_of_them_to_the_same_model() {
        let base = sign(&["model", "template"], &["a", "b"], &["c"]);
        assert_eq!(sign(&["model", "template"], &["a", "b"], &["c"]), base);
        for other in [
            sign(&["other", "template"], &["a", "b"], &["c"]),
            sign(&["model", "other"], &["a", "b"], &["c"]),
            sign(&["modelt", "emplate"], &["a", "b"], &["c"]),
            sign(&["model", "template"], &["a"], &["b", "c"]),
            sign(&["model", "template"], &["b", "a"], &["c"]),
            sign(&["model", "template"], &["ab"], &["c"]),
            sign(&["model", "template"], &["a", "b"], &["c", "d"]),
        ] {
            assert_ne!(other, base);
            assert_ne!(other.to_string(), base.to_string());
        }
    }

    #[test]
    fn a_user_has_another_hash_under_another_signature_and_shares_it_with_others() {
        let [a, b] = ["a", "b"].map(|term| sign(&[], &[term], &[]));
        let users: Vec<String> = (0..100).map(|user| format!("u{user}")).collect();
        let same = users.iter().filter(|user| a.user(user) == b.user(user));
        assert!(same.count() <= 1);
        let hashes: std::collections::HashSet<u64> = users.iter().map(|u| a.user(u)).collect();
        assert!(hashes.len() >= 99);
        assert!(hashes.iter().all(|&hash| hash < 1 << USER_BITS));
    }
}
