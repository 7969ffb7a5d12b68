//! The same story twice: as the model writes it, and with one neuron set.
//!
//!     cargo run --release --example steer [-- MODEL_FOLDER [PROMPT]]

use topk_lm::{Edit, GenerateOptions, Model, SamplingOptions};

fn main() -> topk_lm::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or("models/Llama-TopK-Stories-16M".into());
    let prompt = arguments.next().unwrap_or("The baby was tired, so".into());
    let model = Model::open(folder)?;
    for edits in [vec![], vec![Edit::clamp(1, 296, 18.0)]] {
        let options = GenerateOptions {
            edits,
            max_tokens: Some(60),
            sampling: SamplingOptions::at(0.0),
            ..GenerateOptions::default()
        };
        println!("{prompt}{}\n", model.write(&prompt, &options)?);
    }
    Ok(())
}
