//! The architectures that are read. A new one is a file in the folder beside this one and two lines here (`mod` and the list below); nothing
//! else in the crate knows a model by its name. What goes with it elsewhere: CONTRIBUTING.md.

mod gemma2;
mod gemma3;
mod gpt2;
mod gpt_neo;
mod gpt_neox;
mod llama;
mod mistral;
mod qwen2;
mod qwen3;

use super::fields::Fields;
use super::Config;
use crate::error::Result;

/// Declares [`Architecture`] and where each is defined.
macro_rules! architectures {
    ($($name:ident = $module:ident),* $(,)?) => {
        /// Which family of files a model came from. Only what reads or describes files looks at it; how the model computes is
        /// said by the other fields of [`Config`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Architecture {
            $($name),*
        }

        impl Architecture {
            /// All that are supported.
            pub const ALL: &[Architecture] = &[$(Architecture::$name),*];

            pub(crate) fn definition(self) -> &'static Definition {
                match self {
                    $(Architecture::$name => &$module::DEFINITION),*
                }
            }
        }
    };
}

architectures! {
    Llama = llama,
    Gpt2 = gpt2,
    GptNeoX = gpt_neox,
    GptNeo = gpt_neo,
    Qwen2 = qwen2,
    Qwen3 = qwen3,
    Gemma2 = gemma2,
    Gemma3 = gemma3,
    Mistral = mistral,
}

impl Architecture {
    /// Its class in transformers, as `architectures` names it.
    pub fn class_name(self) -> &'static str {
        self.definition().class_name
    }

    /// `model_type` of its `config.json`.
    pub fn model_type(self) -> &'static str {
        self.definition().model_type
    }
}

/// How an architecture's files are read.
pub(crate) struct Definition {
    pub class_name: &'static str,
    pub model_type: &'static str,
    pub(in crate::config) keys: Keys,
    /// Reads what `keys` does not, into a configuration in which everything else is at its plainest (see `parse::plain`).
    pub(in crate::config) properties: fn(&Fields, &mut Config) -> Result<()>,
    pub tensors: Tensors,
}

/// The keys of `config.json` that say sizes, and transformers' defaults. Of several names of one key the first is the
/// architecture's own; where a file has more of them they must agree.
#[derive(Clone, Copy)]
pub(crate) struct Keys {
    pub d_vocab: (&'static str, usize),
    pub d_model: (&'static [&'static str], usize),
    pub n_layers: (&'static [&'static str], usize),
    pub n_heads: (&'static [&'static str], usize),
    /// `None`: as many as query heads. Its default, too, may be as many.
    pub n_kv_heads: Option<(&'static str, Option<usize>)>,
    /// `None`: always d_model / n_heads, which is also what a default of `None` means.
    pub d_head: Option<(&'static str, Option<usize>)>,
    /// A default of `None` is 4 · d_model.
    pub d_mlp: (&'static str, Option<usize>),
    pub n_ctx: (&'static [&'static str], usize),
    pub norm_eps: (&'static str, f64),
    /// Default of `tie_word_embeddings`.
    pub tied: bool,
    /// Defaults of `bos_token_id` and `eos_token_id`.
    pub bos: Option<u32>,
    pub eos: Option<u32>,
}

/// Hugging Face's names of the tensors. Which of them a model has follows from its configuration; all but the head's are
/// without the ending `.weight` or `.bias`.
#[derive(Clone, Copy)]
pub(crate) struct Tensors {
    /// Before every name but the head's, unless no tensor of the file has it.
    pub prefix: &'static str,
    pub embed: &'static str,
    pub positions: &'static str,
    /// `{block}.{layer}.` is before the names below.
    pub block: &'static str,
    pub norm1: &'static str,
    pub norm2: &'static str,
    /// Norms behind the attention and behind the MLP.
    pub post_norms: [&'static str; 2],
    /// Norms of each head's query and key.
    pub qk_norms: [&'static str; 2],
    pub qkv: QkvTensors,
    pub attn_out: &'static str,
    /// Gate and up, or one.
    pub mlp_in: &'static [&'static str],
    pub mlp_out: &'static str,
    /// Behind the blocks.
    pub final_norm: &'static str,
    /// Full names that a head may have; the first is the usual one.
    pub heads: &'static [&'static str],
    pub linear: LinearLayout,
    /// Gains are stored less 1.
    pub gains_less_one: bool,
}

/// How queries, keys and values are stored.
#[derive(Clone, Copy)]
pub(crate) enum QkvTensors {
    Separate([&'static str; 3]),
    /// All queries, all keys, all values.
    Fused(&'static str),
    /// Query, key and value of the first head, then of the second, and so on.
    FusedByHead(&'static str),
}

/// How the matrices are stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinearLayout {
    /// torch's Linear, `[outputs, inputs]`.
    OutIn,
    /// GPT-2's Conv1D, `[inputs, outputs]`.
    InOut,
}

#[cfg(test)]
mod tests;
