//! Korean words without the particles that are written on them.

/// A particle, and after which endings of a noun it stands.
struct Particle {
    written: &'static str,
    after: After,
}

enum After {
    Any,
    /// A syllable that ends in a consonant.
    Consonant,
    /// A syllable that ends in a vowel, or in ㄹ where `or_rieul` says so.
    Vowel {
        or_rieul: bool,
    },
}

const PARTICLES: [Particle; 26] = {
    use After::{Any, Consonant, Vowel};
    const fn particle(written: &'static str, after: After) -> Particle {
        Particle { written, after }
    }
    const VOWEL: After = Vowel { or_rieul: false };
    [
        particle("은", Consonant),
        particle("는", VOWEL),
        particle("이", Consonant),
        particle("가", VOWEL),
        particle("을", Consonant),
        particle("를", VOWEL),
        particle("과", Consonant),
        particle("와", VOWEL),
        particle("으로", Consonant),
        particle("로", Vowel { or_rieul: true }),
        particle("이랑", Consonant),
        particle("랑", VOWEL),
        particle("의", Any),
        particle("에", Any),
        particle("에서", Any),
        particle("에게", Any),
        particle("한테", Any),
        particle("께서", Any),
        particle("도", Any),
        particle("만", Any),
        particle("까지", Any),
        particle("부터", Any),
        particle("처럼", Any),
        particle("보다", Any),
        particle("마다", Any),
        particle("들", Any),
    ]
};

/// Syllables that are left at least: shorter nouns look like particles themselves.
const LEAST_SYLLABLES: usize = 2;

const FIRST_SYLLABLE: u32 = 0xac00;
const LAST_SYLLABLE: u32 = 0xd7a3;
/// Syllables of one beginning and vowel, by what they end in; the first of them in the vowel.
const ENDINGS: u32 = 28;
const RIEUL: u32 = 8;

/// A word in Hangul without particles, of which there may be several ("서울에서는"). A word that ends like
/// one loses that too, but so in each of its forms. None for a word in another script.
pub(super) fn without_particles(word: &str) -> Option<&str> {
    if !word.chars().all(is_syllable) {
        return None;
    }
    let mut bare = word;
    'again: loop {
        for particle in &PARTICLES {
            if let Some(before) = bare.strip_suffix(particle.written)
                && before.chars().count() >= LEAST_SYLLABLES
                && particle.stands_after(before)
            {
                bare = before;
                continue 'again;
            }
        }
        return Some(bare);
    }
}

impl Particle {
    fn stands_after(&self, word: &str) -> bool {
        let Some(last) = word.chars().next_back() else {
            return false;
        };
        let ending = (last as u32 - FIRST_SYLLABLE) % ENDINGS;
        match self.after {
            After::Any => true,
            After::Consonant => ending != 0,
            After::Vowel { or_rieul } => ending == 0 || (or_rieul && ending == RIEUL),
        }
    }
}

fn is_syllable(c: char) -> bool {
    (FIRST_SYLLABLE..=LAST_SYLLABLE).contains(&(c as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_a_noun_are_one() {
        let forms = [
            "요리",
            "요리가",
            "요리를",
            "요리는",
            "요리와",
            "요리로",
            "요리에서는",
            "요리까지",
        ];
        for form in forms {
            assert_eq!(without_particles(form), Some("요리"), "{form}");
        }
        for form in [
            "한국",
            "한국이",
            "한국을",
            "한국은",
            "한국과",
            "한국으로",
            "한국에서도",
            "한국의",
        ] {
            assert_eq!(without_particles(form), Some("한국"), "{form}");
        }
        for form in ["서울", "서울로", "서울에서는"] {
            assert_eq!(without_particles(form), Some("서울"), "{form}");
        }
    }

    #[test]
    fn a_particle_that_does_not_stand_after_such_a_syllable_is_a_part_of_the_noun() {
        // After a consonant there would be 이, not 가; after a vowel 는, not 은.
        for word in ["소설가", "음악가", "기타은"] {
            assert_eq!(without_particles(word), Some(word));
        }
    }

    #[test]
    fn short_nouns_stay_whole_and_other_scripts_are_none_of_ours() {
        for word in ["아이", "도로", "온도", "화가", "나이"] {
            assert_eq!(without_particles(word), Some(word));
        }
        assert_eq!(without_particles("ukulele"), None);
        assert_eq!(without_particles("k팝"), None);
    }
}
