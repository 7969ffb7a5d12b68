//! Where an operation is in a program.

use super::buffers::Buffer;

/// The place of a step: at a layer, reading its main input from a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At {
    pub layer: usize,
    /// The main input; which one it is may depend on the model.
    pub input: Buffer,
    /// The point of the program that is reached with it.
    pub point: Point,
    /// Which of several of its kind: the number of an autoencoder; else 0.
    pub instance: usize,
}

impl At {
    /// At a point, of which there is but one.
    pub fn new(point: Point, input: Buffer) -> At {
        At {
            layer: point.layer,
            input,
            point,
            instance: 0,
        }
    }
}

/// A named point of the program, right behind the operations that reach it. Hooks, captures and inserted operations say where
/// they are by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Point {
    /// 0 for [`Stage::Embed`].
    pub layer: usize,
    pub stage: Stage,
}

/// The points of a block in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The stream in front of block 0.
    Embed,
    /// Queries, keys and values are there.
    Qkv,
    /// The heads' weighted values are there (`hook_z`).
    Attention,
    /// The attention's output is added (`hook_resid_mid`).
    AttnOut,
    MlpIn,
    /// The MLP's output is there, not added yet (`hook_mlp_out`).
    MlpOut,
    /// The block's result (`hook_resid_post`).
    End,
}

impl Point {
    pub const EMBED: Point = Point {
        layer: 0,
        stage: Stage::Embed,
    };

    pub const fn of(layer: usize, stage: Stage) -> Point {
        Point { layer, stage }
    }

    /// Between the attention and the end of a block, where fused kernels leave nothing to see.
    pub fn is_within_block(self) -> bool {
        !matches!(self.stage, Stage::Embed | Stage::Qkv | Stage::End)
    }

    /// Where block `layer` ends.
    pub const fn end(layer: usize) -> Point {
        Point::of(layer, Stage::End)
    }

    /// Where block `layer` begins: behind the embedding, or where the block before it ends.
    pub const fn start(layer: usize) -> Point {
        match layer.checked_sub(1) {
            None => Point::EMBED,
            Some(before) => Point::end(before),
        }
    }
}

/// How the rows of a batch relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Consecutive positions `start, start + 1, …` of one sequence; their keys and values enter the cache.
    Sequence,
    /// Alternatives of the one position `start`: each row sees the cached positions below `start` and itself, and
    /// nothing enters the cache. For edited continuations of one prefix.
    Alternatives,
}
