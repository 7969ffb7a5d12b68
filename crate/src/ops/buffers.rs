//! Named buffers: what an operation reads and writes is said by name, and both executors find it by that name.

use std::fmt;

use crate::config::Config;

/// A named buffer of the program. Which exist is said by the operations that write them.
#[derive(Clone, Copy)]
pub struct Buffer {
    pub name: &'static str,
    /// Which of several of this name (the autoencoders of a program each have their own); else 0.
    pub instance: usize,
    size: Size,
    chunked: bool,
}

#[derive(Clone, Copy)]
enum Size {
    /// f32 `[rows, width]`.
    Rows(fn(&Config) -> usize),
    /// The same, of a width that no model's configuration knows.
    Fixed(usize),
    /// f32 `[rows, count, positions]`: up to the last position of a batch.
    Positions(fn(&Config) -> usize),
    /// So many 32-bit words for batches of so many rows; on the GPU only.
    Words(fn(&Config, usize) -> usize),
}

impl Buffer {
    /// f32 `[rows, width]`.
    pub const fn rows(name: &'static str, width: fn(&Config) -> usize) -> Buffer {
        Buffer {
            name,
            instance: 0,
            size: Size::Rows(width),
            chunked: false,
        }
    }

    /// f32 `[rows, width]`, one of several of this name.
    pub const fn instance(name: &'static str, instance: usize, width: usize) -> Buffer {
        Buffer {
            name,
            instance,
            size: Size::Fixed(width),
            chunked: false,
        }
    }

    /// f32 `[rows, count, positions]`, as many positions as the last row of a batch sees.
    pub const fn positions(name: &'static str, count: fn(&Config) -> usize) -> Buffer {
        Buffer {
            name,
            instance: 0,
            size: Size::Positions(count),
            chunked: false,
        }
    }

    /// Words that only the GPU needs: `words` says how many for batches of so many rows.
    pub const fn words(name: &'static str, words: fn(&Config, usize) -> usize) -> Buffer {
        Buffer {
            name,
            instance: 0,
            size: Size::Words(words),
            chunked: false,
        }
    }

    /// Of results that may be large: an executor may hold a few rows of it at a time.
    pub const fn in_chunks(self) -> Buffer {
        Buffer { chunked: true, ..self }
    }

    /// Whether an executor may hold a few rows at a time.
    pub fn is_chunked(self) -> bool {
        self.chunked
    }

    /// Numbers in a row, at most; 0 for words.
    pub fn width(self, config: &Config) -> usize {
        self.width_to(config, config.n_ctx)
    }

    /// Numbers in a row of a batch that ends in front of position `end`.
    pub fn width_to(self, config: &Config, end: usize) -> usize {
        match self.size {
            Size::Rows(width) => width(config),
            Size::Fixed(width) => width,
            Size::Positions(count) => count(config) * end,
            Size::Words(_) => 0,
        }
    }

    /// 32-bit words for batches of `rows` rows.
    pub fn size(self, config: &Config, rows: usize) -> usize {
        match self.size {
            Size::Words(words) => words(config, rows),
            _ => rows * self.width(config),
        }
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Buffer) -> bool {
        self.instance == other.instance && self.name == other.name
    }
}

impl Eq for Buffer {}

impl std::hash::Hash for Buffer {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.name, self.instance).hash(state);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.instance == 0 {
            f.write_str(self.name)
        } else {
            write!(f, "{}#{}", self.name, self.instance)
        }
    }
}

/// The residual stream between blocks `[rows, d_model]`.
pub const HIDDEN: Buffer = Buffer::rows("hidden", |c| c.d_model);
/// Its active entries. On the GPU `[rows, 2 + 2·d_model]` words: count, 0, then (index, value bits), index ascending; on the CPU
/// [`ActiveRows`](super::pass::ActiveRows).
pub const ACTIVE: Buffer = Buffer::words("active", |c, rows| rows * (2 + 2 * c.d_model));
/// u32 ids by position, or of the alternatives from `start` on.
pub const IDS: Buffer = Buffer::words("ids", |c, rows| c.n_ctx + rows + 1);
/// Word 0: the smallest layer with a non-finite value, or `n_layers` for the logits; `u32::MAX` if all is well.
pub const STATUS: Buffer = Buffer::words("status", |_, _| 4);
