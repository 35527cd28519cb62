//! Dice that fall the same way for ever: a seed that was written down finds the same sequence on every machine and
//! with every later release of the library. So the generator is named, and numbers are drawn from it by rules of ours.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

/// Seeded dice.
#[derive(Debug, Clone)]
pub(crate) struct Chance {
    generator: Xoshiro256PlusPlus,
}

impl Chance {
    pub(crate) fn seeded(seed: u64) -> Self {
        // The whole state is given, because libraries fill it from a number each in their own way.
        let mut state = [0_u8; 32];
        let mut word = seed;
        for chunk in state.chunks_exact_mut(8) {
            word = scrambled(word);
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        Self { generator: Xoshiro256PlusPlus::from_seed(state) }
    }

    /// A number from 0 to `limit` - 1; 0 when there is none.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let limit = u128::try_from(limit).unwrap_or(u128::MAX);
        usize::try_from((u128::from(self.generator.next_u64()) * limit) >> 64).unwrap_or_default()
    }

    /// Whether something happens that does so in `percent` of a hundred cases.
    pub(crate) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the items, if there is any.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// One of these.
    pub(crate) fn one_of<T: Copy, const N: usize>(&mut self, items: [T; N]) -> T {
        items[self.below(N)]
    }

    /// The position of a weight, each as likely as it is heavy; 0 when none weighs anything.
    pub(crate) fn weighted(&mut self, weights: impl Iterator<Item = usize> + Clone) -> usize {
        let mut left = self.below(weights.clone().sum());
        for (at, weight) in weights.enumerate() {
            if left < weight {
                return at;
            }
            left -= weight;
        }
        0
    }
}

/// The step of SplitMix64, which turns neighbouring seeds into states that have nothing in common.
fn scrambled(word: u64) -> u64 {
    let mixed = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_numbers_for_ever() {
        let mut chance = Chance::seeded(7);
        let drawn: Vec<usize> = (0..8).map(|_| chance.below(1000)).collect();
        assert_eq!(drawn, [373, 831, 676, 866, 414, 12, 639, 736]);
    }

    #[test]
    fn weights_are_followed_and_nothing_weightless_is_chosen() {
        let mut chance = Chance::seeded(1);
        let mut counts = [0_usize; 3];
        for _ in 0..4000 {
            counts[chance.weighted([3, 0, 1].into_iter())] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!(counts[0] > 2 * counts[2] && counts[2] > 800, "{counts:?}");
    }
}
