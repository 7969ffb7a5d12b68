//! `topk-lm topk` from file to file.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use topk_lm::checkpoint::{safetensors_bytes, OutputTensor};

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn topk(input: &Path, out: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_topk-lm"))
        .args([Path::new("topk"), Path::new("--input"), input, Path::new("--out"), out])
        .args(more)
        .output()
        .expect("the command runs")
}

fn write(path: &Path, name: &str, shape: &[usize], data: &[f32]) {
    let bytes = safetensors_bytes(&[OutputTensor::f32(name, shape, data)]).expect("a file");
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn both_backends_write_values_and_indices() {
    let folder = folder("topk-command");
    let (input, out) = (folder.join("in.safetensors"), folder.join("out.safetensors"));
    write(&input, "x", &[2, 3], &[1.0, f32::NAN, 5.0, -7.0, -0.0, 0.0]);
    for backend in ["cpu", "gpu"] {
        for (select, expected) in [("value", [1u32, 2, 1, 2]), ("abs", [1, 2, 0, 1])] {
            let run = topk(&input, &out, &["--k", "2", "--select", select, "--backend", backend]);
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
            let bytes = std::fs::read(&out).expect("the result");
            let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
            let (values, indices) = (
                file.tensor("values").expect("values"),
                file.tensor("indices").expect("indices"),
            );
            assert_eq!((values.shape(), indices.shape()), (&[2, 2][..], &[2, 2][..]));
            assert_eq!(
                (values.dtype(), indices.dtype()),
                (safetensors::Dtype::F32, safetensors::Dtype::U32)
            );
            assert_eq!(indices.data(), bytemuck::cast_slice::<u32, u8>(&expected));
            let second = if select == "value" {
                [-0.0f32, 0.0]
            } else {
                [-7.0, -0.0]
            };
            assert_eq!(values.data()[8..], *bytemuck::cast_slice::<f32, u8>(&second));
        }
    }
}

#[test]
fn failures_are_one_line_and_an_exit_code() {
    let folder = folder("topk-command-failures");
    let out = folder.join("out.safetensors");
    let (good, flat, other) = (
        folder.join("good.safetensors"),
        folder.join("flat.safetensors"),
        folder.join("other.safetensors"),
    );
    write(&good, "x", &[2, 3], &[0.0; 6]);
    write(&flat, "x", &[6], &[0.0; 6]);
    write(&other, "y", &[2, 3], &[0.0; 6]);
    std::fs::write(folder.join("broken.safetensors"), [255u8; 20]).expect("written");
    let cases = [
        (good.clone(), &["--k", "4"][..], 1, "k is 4"),
        (good.clone(), &["--k", "-1"], 2, "-1"),
        (good, &["--k", "1", "--select", "best"], 2, "best"),
        (flat, &["--k", "1"], 1, "flat.safetensors"),
        (other, &["--k", "1"], 1, "other.safetensors"),
        (
            folder.join("broken.safetensors"),
            &["--k", "1"],
            1,
            "broken.safetensors",
        ),
        (
            folder.join("absent.safetensors"),
            &["--k", "1"],
            1,
            "absent.safetensors",
        ),
    ];
    for (input, more, code, named) in cases {
        let run = topk(&input, &out, &[more, &["--backend", "cpu"]].concat());
        let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(code), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(named), "{stderr}");
    }
}
