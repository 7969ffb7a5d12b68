//! Runs of sampled steps: ids stay on the GPU, several steps go into one submit.

use pollster::block_on;
use topk_lm::config::Config;
use topk_lm::edits::EditTable;
use topk_lm::engine::{Batch, Capture, Decode, LogitRows, Rows, Sampling};
use topk_lm::model::Buffer;
use topk_lm::weights::Dtype;

use crate::cases::{device, difference, gpt2, llama, load};

const GREEDY: Sampling = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0, seed: 0 };

#[test]
fn greedy_runs_equal_the_cpu() {
    let Some(gpu) = device() else { return };
    for config in [llama(), gpt2(), Config { d_vocab: 1001, ..llama() }] {
        let both = load(&gpu, &config, Dtype::F32, 41);
        let edits = EditTable::none(config.n_layers);
        let prompt = [3u32, 1, 4, 1, 5];
        let captures = [Capture::Buffer { after: 6, buffer: Buffer::Hidden }];
        let batch = Batch { ids: &prompt[..4], start: 0, rows: Rows::Sequence, edits: &edits, captures: &[], logits: LogitRows::None };
        let decode = Decode { ids: &prompt, steps: 40, sampling: &GREEDY, edits: &edits, captures: &captures, logits: true };
        let mut cache = both.cpu.new_cache().unwrap();
        block_on(both.cpu.forward(&mut cache, &batch)).unwrap();
        let expected = block_on(both.cpu.decode(&mut cache, &decode)).unwrap();
        let mut cache = both.gpu.new_cache().unwrap();
        block_on(both.gpu.forward(&mut cache, &batch)).unwrap();
        let got = block_on(both.gpu.decode(&mut cache, &decode)).unwrap();
        assert_eq!(expected.len(), got.len());
        for (number, (expected, got)) in expected.iter().zip(&got).enumerate() {
            assert!(difference(&expected.output.logits, &got.output.logits) < 2e-4, "logits of step {number}");
            assert!(difference(&expected.output.captured[0], &got.output.captured[0]) < 2e-4, "capture of step {number}");
            let mut sorted = expected.output.logits.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            if sorted[0] - sorted[1] < 1e-2 {
                println!("step {number}: the two best logits are {} apart; the rest may differ", sorted[0] - sorted[1]);
                break;
            }
            assert_eq!(expected.id, got.id, "step {number}");
            assert!((expected.logprob - got.logprob).abs() < 1e-3, "step {number}: {} and {}", expected.logprob, got.logprob);
        }
    }
}
