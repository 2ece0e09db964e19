//! The host's words (the bits of f32) to the two bytes that an f16 takes on a device, and back.

use noyau_tensor::{Element, f16};

/// Two elements a word, the first in the lower half; the last word may hold one and a zero.
pub(crate) fn pack(words: &[u32]) -> Vec<u32> {
    let bits = |word: &u32| u32::from(f16::from_word(*word).to_bits());
    words.chunks(2).map(|pair| bits(&pair[0]) | pair.get(1).map_or(0, bits) << 16).collect()
}

/// The first `count` elements.
pub(crate) fn unpack(packed: &[u32], count: usize) -> Vec<u32> {
    let element = |bits: u32| f16::from_bits(bits as u16).to_word();
    packed.iter().flat_map(|&pair| [element(pair), element(pair >> 16)]).take(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_f16_comes_back() {
        let words: Vec<u32> = (0..=u16::MAX).map(|bits| f16::from_bits(bits).to_word()).collect();
        for count in [0, 1, 2, 7, words.len()] {
            assert_eq!(pack(&words[..count]).len(), count.div_ceil(2));
            assert_eq!(unpack(&pack(&words[..count]), count), words[..count]);
        }
    }
}
