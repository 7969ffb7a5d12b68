//! Every operation there is.

use super::def::OpDef;
use super::{
    attention, attn_out, embed, lm_head, mlp_in, mlp_out, pattern, post_norm, qk_norm, qkv, residual, sae, sample, topk,
};

/// All operations; the tests go over them.
pub static ALL: &[&OpDef] = &[
    &embed::DEF,
    &embed::TOKEN_TERM,
    &embed::POSITION_TERM,
    &qkv::DEF,
    &qk_norm::DEF,
    &attention::DEF,
    &pattern::DEF,
    &attn_out::DEF,
    &post_norm::ATTENTION,
    &mlp_in::DEF,
    &mlp_in::SPLIT,
    &mlp_out::DEF,
    &post_norm::MLP,
    &topk::DEF,
    &residual::DEF,
    &lm_head::NORM,
    &lm_head::DEF,
    &sae::ENCODE,
    &sae::PURSUE,
    &sae::ACTIVATE,
    &sae::DECODE,
    &sample::DEF,
    &sample::TOGETHER,
];
