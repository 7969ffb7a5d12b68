//! The header against hostile files: every refusal has its sentence, and no bytes whatever make it panic.

use proptest::prelude::*;

use super::header::parse_header;
use super::*;
use crate::error::Result;

/// A file with this header, and `data` bytes after it.
fn refused(header: &str, data: usize) -> String {
    let bytes = header.as_bytes();
    let error = parse_header("m.safetensors", bytes, 8 + bytes.len() as u64 + data as u64).unwrap_err();
    assert_eq!(error.code(), Code::Checkpoint);
    error.to_string()
}

fn open(bytes: Vec<u8>) -> Result<Checkpoint> {
    pollster::block_on(Checkpoint::open(&MemorySource::new([("model.safetensors", bytes)]), ""))
}

#[test]
fn every_refusal_has_its_sentence() {
    let two = |a: (u32, u32), b: (u32, u32)| {
        format!(
            r#"{{"a":{{"dtype":"F32","shape":[2],"data_offsets":[{},{}]}},"b":{{"dtype":"F32","shape":[2],"data_offsets":[{},{}]}}}}"#,
            a.0, a.1, b.0, b.1
        )
    };
    assert!(parse_header(
        "m",
        two((0, 8), (8, 16)).as_bytes(),
        8 + two((0, 8), (8, 16)).len() as u64 + 16
    )
    .is_ok());
    let cases = [
        (
            two((0, 8), (8, 16)),
            12,
            "m.safetensors is truncated: tensor \"b\" ends at byte 16 of 12 bytes of data",
        ),
        (
            two((0, 8), (4, 12)),
            12,
            "m.safetensors: tensor \"b\" overlaps the one before it",
        ),
        (
            two((0, 8), (0, 8)),
            8,
            "m.safetensors: tensor \"b\" overlaps the one before it",
        ),
        (
            two((0, 8), (12, 20)),
            20,
            "m.safetensors: 4 unused bytes before tensor \"b\"",
        ),
        (
            two((0, 8), (8, 16)),
            17,
            "m.safetensors: 1 bytes after the last tensor belong to none",
        ),
        (
            two((0, 4), (4, 12)),
            12,
            "m.safetensors: tensor \"a\" of F32 [2] needs 8 bytes, its offsets 0 to 4 do not give them",
        ),
        (
            two((8, 0), (8, 16)),
            16,
            "m.safetensors: tensor \"a\" of F32 [2] needs 8 bytes, its offsets 8 to 0 do not give them",
        ),
        (
            "{}".into(),
            3,
            "m.safetensors: 3 bytes after the last tensor belong to none",
        ),
        (
            r#"{"a":{"dtype":"F4","shape":[1],"data_offsets":[0,0]}}"#.into(),
            0,
            "m.safetensors: tensor \"a\" of F4 [1] needs 0 bytes, its offsets 0 to 0 do not give them",
        ),
        (
            r#"{"a":{"dtype":"Q3","shape":[1],"data_offsets":[0,1]}}"#.into(),
            1,
            "m.safetensors: tensor \"a\" has the unknown dtype \"Q3\"",
        ),
        (
            format!(
                r#"{{"a":{{"dtype":"F32","shape":[{0},{0}],"data_offsets":[0,4]}}}}"#,
                u64::MAX
            ),
            4,
            "m.safetensors: tensor \"a\" has more elements than can be counted",
        ),
        (
            format!(
                r#"{{"a":{{"dtype":"F32","shape":[{}],"data_offsets":[0,4]}}}}"#,
                u64::MAX / 8
            ),
            4,
            "m.safetensors: tensor \"a\" has more elements than can be counted",
        ),
        (
            format!(
                r#"{{"a":{{"dtype":"I8","shape":[0],"data_offsets":[{0},{0}]}}}}"#,
                u64::MAX
            ),
            4,
            "m.safetensors is truncated: tensor \"a\" ends at byte 18446744073709551615 of 4 bytes of data",
        ),
    ];
    for (header, data, expected) in cases {
        assert_eq!(refused(&header, data), expected);
    }
    for (header, expected) in [
        (
            r#"{"a":{"dtype":"I8","shape":[],"data_offsets":[0,1]},"a":{"dtype":"I8","shape":[],"data_offsets":[0,1]}}"#,
            "\"a\" comes twice",
        ),
        (
            r#"{"a":{"dtype":"I8","shape":[-1],"data_offsets":[0,1]}}"#,
            "its header is not valid",
        ),
        (
            r#"{"a":{"dtype":"I8","shape":[1.0],"data_offsets":[0,1]}}"#,
            "its header is not valid",
        ),
        (
            r#"{"a":{"dtype":"I8","shape":[1],"data_offsets":[0]}}"#,
            "its header is not valid",
        ),
        (r#"{"a":{"dtype":"I8","shape":[1]}}"#, "missing field `data_offsets`"),
        (
            r#"{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}"#,
            "its header is not valid",
        ),
        ("[]", "its header is not valid"),
        ("", "its header is not valid"),
        ("\u{0}\u{0}", "its header is not valid"),
    ] {
        assert!(
            refused(header, 1).contains(expected),
            "{header}: {}",
            refused(header, 1)
        );
    }
    let deep = format!("{{\"__metadata__\":{}", "[".repeat(1_000_000));
    assert!(refused(&deep, 0).len() < 300);
}

#[test]
fn files_that_are_no_safetensors() {
    let message = |bytes: Vec<u8>| open(bytes).unwrap_err().to_string();
    assert_eq!(
        message(vec![]),
        "model.safetensors has 0 bytes; a safetensors file has at least 8"
    );
    assert_eq!(
        message(vec![0xff; 20]),
        "model.safetensors is not a whole safetensors file: its header has 18446744073709551615 bytes, the file 20"
    );
    let mut short = 100u64.to_le_bytes().to_vec();
    short.extend(b"{}");
    assert!(message(short).contains("its header has 100 bytes, the file 10"));
    // What may be left out: metadata of any kind, padding, empty tensors.
    let fine = br#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[0,9],"data_offsets":[0,0]}}   "#;
    let bytes = [&(fine.len() as u64).to_le_bytes()[..], fine].concat();
    assert_eq!(open(bytes).unwrap().get("a").unwrap().1.elements(), 0);
}

/// A file that claims a size without having the bytes: nothing may be allocated for them.
struct Boasting(Vec<u8>, u64);

impl Source for Boasting {
    fn size(&self, path: &str) -> Option<u64> {
        (path == "model.safetensors").then_some(self.1)
    }

    fn read<'a>(
        &'a self,
        path: &'a str,
        offset: u64,
        length: usize,
    ) -> crate::source::LocalFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let bytes = usize::try_from(offset)
                .ok()
                .and_then(|start| self.0.get(start..start.checked_add(length)?));
            bytes
                .map(<[u8]>::to_vec)
                .ok_or_else(|| Error::new(Code::Io, format!("{path} ends before {length} bytes")))
        })
    }
}

#[test]
fn a_header_longer_than_the_format_allows() {
    let source = Boasting((1u64 << 40).to_le_bytes().to_vec(), 1 << 41);
    let error = pollster::block_on(Checkpoint::open(&source, ""))
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "model.safetensors: its header has 1099511627776 bytes; at most 100000000 are allowed"
    );
}

#[test]
fn sources_refuse_reads_beyond_the_end() {
    let memory = MemorySource::new([("a", vec![1, 2, 3])]);
    assert_eq!(pollster::block_on(memory.read("a", 1, 2)).unwrap(), [2, 3]);
    assert!(pollster::block_on(memory.read("a", 2, 2))
        .unwrap_err()
        .to_string()
        .contains("a has 3 bytes"));
    assert!(pollster::block_on(memory.read("a", u64::MAX, usize::MAX)).is_err());
    assert!(pollster::block_on(memory.read("b", 0, 0))
        .unwrap_err()
        .to_string()
        .contains("b does not exist"));

    let folder = std::env::temp_dir().join(format!("topk-lm-folder-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("step5")).unwrap();
    std::fs::write(folder.join("step5/a"), [1, 2, 3]).unwrap();
    let source = FolderSource::new(&folder).unwrap();
    assert_eq!(source.size("step5/a"), Some(3));
    assert_eq!(pollster::block_on(source.read("step5/a", 1, 2)).unwrap(), [2, 3]);
    assert!(pollster::block_on(source.read("step5/a", 2, usize::MAX))
        .unwrap_err()
        .to_string()
        .contains("has 3 bytes"));
    for outside in ["../a", "/etc/hostname", "step5/../step5/a", "step5", "", "a\\b"] {
        assert_eq!(source.size(outside), None, "{outside}");
        assert!(pollster::block_on(source.read(outside, 0, 1)).is_err());
    }
    assert_eq!(source.folders("").unwrap(), ["step5"]);
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(FolderSource::new(&folder)
        .unwrap_err()
        .to_string()
        .ends_with("is not a folder"));
}

#[test]
fn small_files_have_a_limit() {
    let source = Boasting(vec![], 1 << 40);
    let error = pollster::block_on(read_file(&source, "model.safetensors", 9, Code::Config)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "model.safetensors has 1099511627776 bytes; at most 9 are read"
    );
    let error = pollster::block_on(read_config(&source)).unwrap_err();
    assert_eq!(error.to_string(), "config.json is missing from the model folder");
    assert_eq!(pollster::block_on(read_manifest(&source)).unwrap(), None);
}

#[test]
fn manifests() {
    let read = |text: &str| Manifest::from_json(text.as_bytes());
    let sha = "0".repeat(64);
    let file = |path: &str, sha: &str| {
        format!(r#"{{"format":1,"files":[{{"path":"{path}","bytes":3,"sha256":"{sha}"}}],"steps":[9,5]}}"#)
    };
    let manifest = read(&file("step5/model.safetensors", &sha)).unwrap();
    assert_eq!(
        (manifest.steps, manifest.files[0].bytes, manifest.dense_twin),
        (vec![5, 9], 3, None)
    );
    let more =
        read(r#"{"format":1,"files":[],"steps":null,"dense_twin":"../dense","features":false,"more":1}"#).unwrap();
    assert_eq!((more.dense_twin.as_deref(), more.features), (Some("../dense"), None));
    for (text, expected) in [
        (file("../x", &sha), "\"../x\" is not a path inside the model folder"),
        (file("x", "abc"), "sha256 of \"x\" must be 64 hexadecimal digits"),
        (r#"{"format":2,"files":[]}"#.into(), "format must be 1, not 2"),
        (
            r#"{"format":1,"files":[],"steps":[5,5]}"#.into(),
            "steps: 5 comes twice",
        ),
        (
            r#"{"format":1,"files":[],"features":[1]}"#.into(),
            "features must be a string or null",
        ),
        (
            r#"{"format":1}"#.into(),
            "manifest.json is not valid: missing field `files`",
        ),
        (
            r#"{"format":1,"files":[],"steps":[-1]}"#.into(),
            "manifest.json is not valid",
        ),
        ("".into(), "manifest.json must hold a JSON object"),
        ("[]".into(), "manifest.json must hold a JSON object"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

fn valid() -> Vec<u8> {
    let (x, y) = ([1.0f32; 6], [7u32; 4]);
    let tensors = [
        OutputTensor::f32("x", &[2, 3], &x),
        OutputTensor::u32("model.y", &[4], &y),
        OutputTensor::f32("empty", &[0], &[]),
    ];
    safetensors_bytes(&tensors).unwrap()
}

#[test]
fn what_is_written_can_be_read() {
    let source = MemorySource::new([("model.safetensors", valid())]);
    let checkpoint = pollster::block_on(Checkpoint::open(&source, "")).unwrap();
    assert_eq!(checkpoint.get("x").unwrap().1.shape, [2, 3]);
    let bytes = pollster::block_on(checkpoint.read(&source, "model.y"))
        .unwrap()
        .unwrap();
    assert_eq!(bytes, [7u32; 4].map(u32::to_le_bytes).concat());
    assert_eq!(pollster::block_on(checkpoint.read(&source, "z")).unwrap(), None);
    let twice = [OutputTensor::f32("x", &[0], &[]), OutputTensor::f32("x", &[0], &[])];
    assert!(safetensors_bytes(&twice).is_err());
}

proptest! {
    /// Changed, cut or doubled bytes: refused, or every tensor that is found can be read.
    #[test]
    fn mutated_files(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6), cut in any::<prop::sample::Index>(), double in any::<bool>()) {
        let mut bytes = valid();
        for (place, byte) in changes {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let cut = bytes[..cut.index(bytes.len() + 1)].to_vec();
        if double {
            bytes.extend_from_within(..);
        }
        for bytes in [bytes, cut] {
            let source = MemorySource::new([("model.safetensors", bytes)]);
            let Ok(checkpoint) = pollster::block_on(Checkpoint::open(&source, "")) else { continue };
            for (name, (_, info)) in &checkpoint.tensors {
                let read = pollster::block_on(checkpoint.read(&source, name)).unwrap().unwrap();
                prop_assert_eq!(read.len() as u64, info.bytes);
            }
        }
    }

    /// Any numbers in the header.
    #[test]
    fn any_numbers(shape in prop::collection::vec(any::<u64>(), 0..4), start: u64, end: u64, length: u64, size: u64) {
        let header = serde_json::json!({"a": {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}}).to_string();
        let _ = parse_header("m", header.as_bytes(), size);
        let _ = parse_header("m", header.as_bytes(), 8 + header.len() as u64 + size % 64);
        let bytes = [&length.to_le_bytes()[..], header.as_bytes()].concat();
        let _ = open(bytes);
    }
}
