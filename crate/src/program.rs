//! A [`Config`] becomes a program: a list of steps over named buffers, the same for both executors. Nothing here knows about devices.

use crate::config::{Config, Residual};
use crate::ops::buffers::{Buffer, ACTIVE, HIDDEN, IDS};
use crate::ops::def::{At, OpDef, Point, Stage, Step};
use crate::ops::{
    attention, attn_out, embed, lm_head, mlp_in, mlp_out, post_norm, qk_norm, qkv, residual, sample, topk, weights,
};

/// The steps of one forward pass over a batch of rows, up to the final residual stream; then how logits are made and a token is drawn.
#[derive(Clone, Debug)]
pub struct Program {
    pub steps: Vec<Step>,
    pub head: Step,
    pub sampler: Step,
    /// Whether nothing is inserted within a block.
    pub plain_blocks: bool,
    /// Whether nothing is inserted where a block ends.
    pub plain_ends: bool,
}

/// An operation and what it reads.
type Next = (&'static OpDef, Buffer);

impl Program {
    /// The program of a model.
    pub fn new(config: &Config) -> Program {
        Program::with(config, &[])
    }

    /// The same with operations inserted, each behind everything else that reaches its point. They change their input buffer in place.
    pub fn with(config: &Config, inserted: &[Step]) -> Program {
        let mut steps = Vec::with_capacity(1 + 6 * config.n_layers + inserted.len());
        // `then`: an operation that only some models have behind it.
        let mut add = |op: &'static OpDef, input: Buffer, then: Option<Next>, point: Point| {
            let step = |(op, input)| Step {
                op,
                at: At::new(point, input),
            };
            steps.push(step((op, input)));
            let before = steps.len();
            steps.extend(then.map(step));
            steps.extend(inserted.iter().filter(|step| step.point == point).copied());
            steps.len() > before
        };
        add(&embed::DEF, IDS, None, Point::EMBED);
        let mut stream = HIDDEN;
        for layer in 0..config.n_layers {
            let at = |stage| Point::of(layer, stage);
            let qk_norm: Option<Next> = config.qk_norm.then_some((&qk_norm::DEF, qkv::QKV));
            add(&qkv::DEF, stream, qk_norm, at(Stage::Qkv));
            add(&attention::DEF, qkv::ROTATED, None, at(Stage::Attention));
            let post_norm = |op, input| config.post_norms.then_some((op, input));
            let attention_norm = post_norm(&post_norm::ATTENTION, attn_out::ATTN_OUT);
            add(&attn_out::DEF, attention::ATTENDED, attention_norm, at(Stage::AttnOut));
            let mlp_input = match config.residual {
                Residual::Serial => attn_out::RESID_MID,
                Residual::Parallel => HIDDEN,
            };
            // Nothing may change what the attention added to a sparse stream.
            let changed_within = inserted.iter().any(|step| step.point.layer == layer && step.point.is_within_block());
            let splits = stream == ACTIVE && weights::splits(config) && !changed_within;
            let mlp = if splits { &mlp_in::SPLIT } else { &mlp_in::DEF };
            add(mlp, mlp_input, None, at(Stage::MlpIn));
            let mlp_norm = post_norm(&post_norm::MLP, mlp_out::MLP_OUT);
            add(&mlp_out::DEF, mlp_in::MLP_POST, mlp_norm, at(Stage::MlpOut));
            let is_topk = config.topk_at(layer).is_some();
            let end = if is_topk { &topk::DEF } else { &residual::DEF };
            let changed = add(end, attn_out::RESID_MID, None, Point::end(layer));
            // The list of active entries holds only as long as nothing changes the stream behind it.
            stream = if is_topk && !changed { ACTIVE } else { HIDDEN };
        }
        let last = Point::end(config.n_layers - 1);
        let step = |op, input| Step {
            op,
            at: At::new(last, input),
        };
        Program {
            steps,
            head: step(&lm_head::DEF, HIDDEN),
            sampler: step(&sample::DEF, lm_head::LOGITS),
            plain_blocks: inserted.iter().all(|step| !step.point.is_within_block()),
            plain_ends: inserted.iter().all(|step| step.point.stage != Stage::End),
        }
    }

    /// How many steps it takes to reach a point: all that reach it, inserted ones too.
    pub fn reach(&self, point: Point) -> usize {
        self.steps
            .iter()
            .rposition(|step| step.point == point)
            .map_or(0, |index| index + 1)
    }

    /// Every step with those for logits and tokens.
    pub fn all(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain([&self.head, &self.sampler])
    }

    /// The buffers that its steps write, each once.
    pub fn buffers(&self, config: &Config) -> Vec<Buffer> {
        let mut buffers: Vec<Buffer> = Vec::new();
        for step in self.all() {
            for buffer in (step.op.writes)(config, step) {
                if !buffers.contains(&buffer) {
                    buffers.push(buffer);
                }
            }
        }
        buffers
    }
}
