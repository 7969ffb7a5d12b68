//! The kernels of `shaders/`, assembled by build.rs, with their bindings by name.

use crate::error::{fail, Result};

/// One kernel.
#[derive(Debug)]
pub struct Shader {
    /// Its path in `shaders/`.
    pub file: &'static str,
    /// Its parts and itself, in order; kernels share parts, which are compiled in once.
    bodies: &'static [&'static str],
    /// Its storage bindings; 0 is the uniform.
    pub bindings: &'static [Binding],
}

impl Shader {
    /// The whole text, without [`SUBGROUPS_FIRST`].
    pub fn text(&self) -> String {
        self.bodies.concat()
    }

    /// The text as the device's compiler wants it.
    pub(super) fn source(&self) -> String {
        let text = self.text();
        #[cfg(target_arch = "wasm32")]
        if text.contains("subgroupAdd(") {
            return SUBGROUPS_FIRST.to_owned() + &text;
        }
        text
    }
}

/// What comes first in a kernel with operations of subgroups where a browser compiles it; naga does not know these lines. Branches around such
/// operations are the same for a subgroup, but not for the workgroup, which is all that a browser can tell.
#[cfg(target_arch = "wasm32")]
const SUBGROUPS_FIRST: &str = "enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n";

/// A storage binding of group 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Binding {
    pub number: u32,
    pub name: &'static str,
    /// `read_write`.
    pub writes: bool,
}

include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// A kernel by its file, of the engine's ([`SHADERS`]) or of those of the operator `topk` ([`OPERATOR_SHADERS`]).
pub fn shader(all: &'static [Shader], file: &str) -> Result<&'static Shader> {
    match all.iter().find(|shader| shader.file == file) {
        Some(shader) => Ok(shader),
        None => fail!(Device, "there is no shader {file}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    #[allow(dead_code)] // the folder is read by build.rs
    mod assemble {
        include!("assemble.rs");
    }

    fn files(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter()
            .map(|(name, text)| ((*name).into(), (*text).into()))
            .collect()
    }

    #[test]
    fn parts_come_once_before_their_first_user() {
        let files = files(&[
            ("kernel.wgsl", "// @import a.wgsl\n// @import b.wgsl\nfn kernel() {}\n"),
            ("a.wgsl", "fn a() {}\n"),
            ("b.wgsl", "// @import a.wgsl\nfn b() {}\n\n"),
        ]);
        assert_eq!(
            assemble::assemble("kernel.wgsl", &files).unwrap(),
            "fn a() {}\nfn b() {}\nfn kernel() {}\n"
        );
    }

    #[test]
    fn a_circle_and_a_missing_part_are_named() {
        let circle = files(&[("a.wgsl", "// @import b.wgsl\n"), ("b.wgsl", "// @import a.wgsl\n")]);
        assert!(assemble::assemble("a.wgsl", &circle)
            .unwrap_err()
            .contains("a.wgsl → b.wgsl → a.wgsl"));
        let missing = files(&[("a.wgsl", "// @import parts/b.wgsl\n")]);
        assert!(assemble::assemble("a.wgsl", &missing)
            .unwrap_err()
            .contains("parts/b.wgsl does not exist; a.wgsl"));
    }

    #[test]
    fn only_a_whole_line_at_its_start_is_an_import() {
        let text = "// x\n  // @import parts/a.wgsl\n// see `// @import NAME`\n\nfn a() {\n    b(); // c\n}\n";
        assert_eq!(
            assemble::assemble("kernel.wgsl", &files(&[("kernel.wgsl", text)])).unwrap(),
            "fn a() {\n    b();\n}\n"
        );
    }

    #[test]
    fn bindings_are_read_by_name() {
        let text = "@group(0) @binding(0) var<uniform> params: Params;\n@group(0) @binding(2) var<storage, read> rows: array<u32>; // x\n@group(0) @binding(1) var<storage, read_write> out: array<f32>;\n";
        assert_eq!(
            assemble::bindings("x.wgsl", text).unwrap(),
            [(1, "out".into(), true), (2, "rows".into(), false)]
        );
        let twice = "@group(0) @binding(1) var<storage, read> a: array<u32>;\n@group(0) @binding(1) var<storage, read> b: array<u32>;\n";
        assert!(assemble::bindings("x.wgsl", twice)
            .unwrap_err()
            .contains("a and b have one binding"));
    }
}
