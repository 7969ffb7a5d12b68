//! Rotary position embedding: one rule for both executors (rotate-half, as in Hugging Face's `modeling_rope_utils`).

use std::f64::consts::PI;

use crate::config::{Config, Rope, RopeScaling};
use crate::error::{fail, Result};
use crate::memory::reserve;

/// The inverse frequencies of a model, `[dims/2]`: for all layers, or for those that see everything and those that see a window only.
#[derive(Clone, Debug, Default)]
pub struct Frequencies {
    global: Vec<f32>,
    local: Option<Vec<f32>>,
}

impl Frequencies {
    pub fn new(config: &Config) -> Frequencies {
        let Some(rope) = config.rope() else {
            return Frequencies::default();
        };
        let local = rope.local_theta.map(|theta| Rope {
            theta,
            scaling: RopeScaling::None,
            ..rope.clone()
        });
        Frequencies {
            global: frequencies(rope, rope.dims),
            local: local.as_ref().map(|rope| frequencies(rope, rope.dims)),
        }
    }

    /// Pairs in a row: half of the numbers that are rotated, or 0 where the model has no RoPE.
    pub fn half(&self) -> usize {
        self.global.len()
    }

    /// Which of [`Frequencies::turns`] a layer's are.
    pub fn of(&self, config: &Config, layer: usize) -> usize {
        usize::from(self.local.is_some() && config.window(layer).is_some())
    }

    /// (cos, sin) side by side of each position, `[positions, half]` pairs; the second is empty where all layers have the same.
    pub fn turns(&self, positions: impl Iterator<Item = usize> + Clone, turns: &mut [Vec<f32>; 2]) -> Result<()> {
        let local = self.local.as_deref().unwrap_or_default();
        for (turns, frequencies) in turns.iter_mut().zip([&self.global[..], local]) {
            turns.clear();
            let Some(numbers) = (2 * frequencies.len()).checked_mul(positions.clone().count()) else {
                fail!(OutOfMemory, "the table of rotations is larger than can be addressed here")
            };
            if numbers > turns.capacity() {
                reserve(turns, numbers, "the table of rotations")?;
            }
            for position in positions.clone() {
                for frequency in frequencies {
                    // The angle is an f32 product, as in the reference.
                    let angle = f64::from(position as f32 * frequency);
                    turns.extend([angle.cos() as f32, angle.sin() as f32]);
                }
            }
        }
        Ok(())
    }
}

/// Inverse frequencies, rounded to f32 where the reference holds f32.
fn frequencies(rope: &Rope, dims: usize) -> Vec<f32> {
    (0..dims / 2)
        .map(|pair| {
            let exponent = (2 * pair) as f32 / dims as f32;
            let power = rope.theta.powf(f64::from(exponent)) as f32;
            let frequency = 1.0 / power;
            match &rope.scaling {
                RopeScaling::None => frequency,
                RopeScaling::Linear { factor } => frequency / *factor as f32,
                RopeScaling::Llama3 {
                    factor,
                    low_freq_factor,
                    high_freq_factor,
                    original_max_position_embeddings,
                } => {
                    let original = *original_max_position_embeddings;
                    let wavelength = 2.0 * PI / f64::from(frequency);
                    if wavelength < original / high_freq_factor {
                        frequency
                    } else if wavelength > original / low_freq_factor {
                        frequency / *factor as f32
                    } else {
                        let smooth = (original / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
                        ((1.0 - smooth) * f64::from(frequency) / factor + smooth * f64::from(frequency)) as f32
                    }
                }
            }
        })
        .collect()
}
