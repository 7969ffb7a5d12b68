//! How GGUF stores numbers: as they are, or in blocks that share scales (ggml's `block_q4_0` and so on). `tests/goldens/gguf/blocks.json`
//! has what the format's own Python package makes of them.

use half::{bf16, f16};

/// A type of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GgufType {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q2K,
    Q3K,
    Q4K,
    Q5K,
    Q6K,
    Iq4Nl,
    Iq4Xs,
}

/// Number in the file, name, numbers of a block and its bytes.
const TYPES: [(GgufType, u32, &str, usize, usize); 15] = [
    (GgufType::F32, 0, "F32", 1, 4),
    (GgufType::F16, 1, "F16", 1, 2),
    (GgufType::Q4_0, 2, "Q4_0", 32, 18),
    (GgufType::Q4_1, 3, "Q4_1", 32, 20),
    (GgufType::Q5_0, 6, "Q5_0", 32, 22),
    (GgufType::Q5_1, 7, "Q5_1", 32, 24),
    (GgufType::Q8_0, 8, "Q8_0", 32, 34),
    (GgufType::Q2K, 10, "Q2_K", 256, 84),
    (GgufType::Q3K, 11, "Q3_K", 256, 110),
    (GgufType::Q4K, 12, "Q4_K", 256, 144),
    (GgufType::Q5K, 13, "Q5_K", 256, 176),
    (GgufType::Q6K, 14, "Q6_K", 256, 210),
    (GgufType::Iq4Nl, 20, "IQ4_NL", 32, 18),
    (GgufType::Iq4Xs, 23, "IQ4_XS", 256, 136),
    (GgufType::Bf16, 30, "BF16", 1, 2),
];

/// What the 4 bits of the types IQ4 stand for.
const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

impl GgufType {
    pub fn of(number: u32) -> Option<GgufType> {
        TYPES.iter().find(|known| known.1 == number).map(|known| known.0)
    }

    /// The names of all.
    pub fn names() -> String {
        TYPES.map(|known| known.2).join(", ")
    }

    /// Numbers of a block, and its bytes.
    pub fn block(self) -> [usize; 2] {
        TYPES.iter().find(|known| known.0 == self).map_or([1, 4], |known| [known.3, known.4])
    }

    /// Number `i` of a block.
    pub fn number(self, block: &[u8], i: usize) -> f32 {
        let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
        // Of two halves of a byte the first, or the second.
        let nibble = |at: usize, second: usize| block[at] >> (4 * second) & 15;
        let bit = |at: usize, number: usize| block[at + number / 8] >> (number % 8) & 1;
        let fifth = |at: usize, from: usize| f32::from(nibble(at + i % 16, i / 16) | bit(from, i) << 4);
        // Where a number of a block of 256 is in its half, its quarter of that, and there.
        let (two, four, l) = (i / 128, i / 32 % 4, i % 32);
        let level = |at: usize| f32::from(LEVELS[usize::from(nibble(at + i % 16, i % 32 / 16))]);
        match self {
            GgufType::F32 => f32::from_le_bytes([block[0], block[1], block[2], block[3]]),
            GgufType::F16 => half(0),
            GgufType::Bf16 => bf16::from_le_bytes([block[0], block[1]]).to_f32(),
            GgufType::Q4_0 => half(0) * (f32::from(nibble(2 + i % 16, i / 16)) - 8.0),
            GgufType::Q4_1 => half(0) * f32::from(nibble(4 + i % 16, i / 16)) + half(2),
            GgufType::Q5_0 => half(0) * (fifth(6, 2) - 16.0),
            GgufType::Q5_1 => half(0) * fifth(8, 4) + half(2),
            GgufType::Q8_0 => half(0) * f32::from(block[2 + i] as i8),
            GgufType::Q2K => {
                let (scale, least) = (nibble(i / 16, 0), nibble(i / 16, 1));
                let q = block[16 + 32 * two + l] >> (2 * four) & 3;
                half(80) * f32::from(scale) * f32::from(q) - half(82) * f32::from(least)
            }
            GgufType::Q3K => {
                let part = i / 16;
                let scale = nibble(96 + part % 8, part / 8) | (block[104 + part % 4] >> (2 * (part / 4)) & 3) << 4;
                let q = block[32 + 32 * two + l] >> (2 * four) & 3 | (block[l] >> (4 * two + four) & 1) << 2;
                half(108) * (f32::from(scale) - 32.0) * (f32::from(q) - 4.0)
            }
            GgufType::Q4K => {
                let [scale, least] = six_bits(&block[4..16], i / 32);
                let q = nibble(16 + 32 * (i / 64) + l, i / 32 % 2);
                half(0) * scale * f32::from(q) - half(2) * least
            }
            GgufType::Q5K => {
                let [scale, least] = six_bits(&block[4..16], i / 32);
                let q = nibble(48 + 32 * (i / 64) + l, i / 32 % 2) | (block[16 + l] >> (i / 32) & 1) << 4;
                half(0) * scale * f32::from(q) - half(2) * least
            }
            GgufType::Q6K => {
                let low = nibble(64 * two + 32 * (four % 2) + l, four / 2);
                let q = low | (block[128 + 32 * two + l] >> (2 * four) & 3) << 4;
                half(208) * f32::from(block[192 + i / 16] as i8) * (f32::from(q) - 32.0)
            }
            GgufType::Iq4Nl => half(0) * level(2),
            GgufType::Iq4Xs => {
                let part = i / 32;
                let scale = nibble(4 + part / 2, part % 2) | (block[2 + part / 4] >> (2 * (part % 4)) & 3) << 4;
                half(0) * (f32::from(scale) - 32.0) * level(8 + 16 * part)
            }
        }
    }
}

/// The scale and the least number of part `part` of eight, of 6 bits each in 12 bytes.
fn six_bits(bytes: &[u8], part: usize) -> [f32; 2] {
    let six = if part < 4 {
        [bytes[part] & 63, bytes[part + 4] & 63]
    } else {
        let both = bytes[part + 4];
        [both & 15 | bytes[part - 4] >> 6 << 4, both >> 4 | bytes[part] >> 6 << 4]
    };
    six.map(f32::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        number: u32,
        block: usize,
        hex: String,
        values: Vec<f32>,
    }

    #[test]
    fn every_type_is_read_as_the_formats_own_package_reads_it() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/goldens/gguf/blocks.json");
        let vectors: std::collections::BTreeMap<String, Vector> =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(vectors.len(), TYPES.len());
        for (name, vector) in vectors {
            let digits = vector.hex.as_bytes().chunks(2);
            let bytes: Vec<u8> = digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect();
            let kind = GgufType::of(vector.number).unwrap();
            let [numbers, size] = kind.block();
            assert_eq!(numbers, vector.block, "{name}");
            let read = bytes.chunks_exact(size).flat_map(|block| (0..numbers).map(move |i| kind.number(block, i)));
            let read: Vec<f32> = read.collect();
            assert_eq!(read.len(), vector.values.len(), "{name}");
            for (i, (a, b)) in read.iter().zip(&vector.values).enumerate() {
                assert!((a - b).abs() <= 1e-6 * b.abs().max(1e-3), "{name} {i}: {a} instead of {b}");
            }
        }
    }
}
