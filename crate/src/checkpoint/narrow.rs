//! Matrices rounded to f16 as they are read: [`KeptAs::F16`](crate::weights::KeptAs).

use half::f16;

use crate::error::{fail, Result};
use crate::memory::reserve;
use crate::weights::{Dtype, Tensor, Weight, WeightSink};

/// Hands matrices on as f16, whatever they are stored as; vectors stay f32.
pub(super) struct AsF16<'a>(pub &'a mut dyn WeightSink);

impl WeightSink for AsF16<'_> {
    fn weight(&mut self, which: Weight, mut tensor: Tensor) -> Result<()> {
        if !which.is_vector() && tensor.dtype != Dtype::F16 {
            let mut data = Vec::new();
            reserve(&mut data, 2 * tensor.rows * tensor.stride, format_args!("the weight {which:?}"))?;
            for number in tensor.to_f32() {
                let narrow = f16::from_f32(number);
                if number.is_finite() && !narrow.is_finite() {
                    fail!(
                        Checkpoint,
                        "the weight {which:?} has the value {number}, which does not fit into f16; load the model without dtype"
                    );
                }
                data.extend(narrow.to_le_bytes());
            }
            tensor.data = data;
            tensor.dtype = Dtype::F16;
        }
        self.0.weight(which, tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Vec<(Weight, Tensor)>);

    impl WeightSink for Kept {
        fn weight(&mut self, which: Weight, tensor: Tensor) -> Result<()> {
            self.0.push((which, tensor));
            Ok(())
        }

        fn keeps_int8(&self) -> bool {
            true
        }
    }

    fn row(numbers: &[f32]) -> Tensor {
        Tensor::vector(numbers)
    }

    #[test]
    fn matrices_are_rounded_and_vectors_are_not() {
        let mut kept = Kept::default();
        let mut sink = AsF16(&mut kept);
        assert!(!sink.keeps_int8());
        sink.weight(Weight::Embed, row(&[1.0 / 3.0, -2.0])).unwrap();
        sink.weight(Weight::FinalNormGain, row(&[1.0 / 3.0, -2.0])).unwrap();
        let (embed, gain) = (&kept.0[0].1, &kept.0[1].1);
        assert_eq!((embed.dtype, embed.data.len()), (Dtype::F16, 4));
        assert_eq!(embed.to_f32(), [f16::from_f32(1.0 / 3.0).to_f32(), -2.0]);
        assert_eq!((gain.dtype, gain.to_f32()), (Dtype::F32, vec![1.0 / 3.0, -2.0]));
    }

    #[test]
    fn a_value_that_f16_has_no_number_for_is_named() {
        let error = AsF16(&mut Kept::default()).weight(Weight::Embed, row(&[1e6, 0.0])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the weight Embed has the value 1000000, which does not fit into f16; load the model without dtype"
        );
    }
}
