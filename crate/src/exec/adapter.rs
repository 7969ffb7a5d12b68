//! CPU or GPU: what a caller asks for, and what was chosen and why.

/// What a caller asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// The GPU on a real adapter, else the CPU; also where the model does not load on that GPU.
    #[default]
    Auto,
    /// The CPU, always.
    Cpu,
    /// The GPU, also on a software adapter; without any it is an error.
    Gpu,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendKind {
    /// The CPU.
    Cpu,
    /// A GPU, or a software adapter.
    Gpu,
}

impl BackendKind {
    /// The name in the public API.
    pub fn name(self) -> &'static str {
        match self {
            BackendKind::Cpu => "cpu",
            BackendKind::Gpu => "webgpu",
        }
    }
}

/// What was chosen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendInfo {
    /// Where it runs.
    pub kind: BackendKind,
    /// The name of the GPU's adapter; none on the CPU.
    pub adapter: Option<String>,
    /// The adapter is a software emulation, or one was passed over for the CPU.
    pub is_fallback: bool,
    /// One sentence for people.
    pub reason: String,
}
