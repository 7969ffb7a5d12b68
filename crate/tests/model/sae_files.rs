//! Autoencoders' folders in 16 and 8 bits: `topk-lm convert`, what is read of them, and what is refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{root, Tensors};
use pollster::block_on;
use topk_lm::checkpoint::{read_sae, safetensors_bytes, FolderSource, OutputTensor};
use topk_lm::error::{Code, Result};

const WEIGHTS: &str = "sae_weights.safetensors";

/// An empty folder of this name.
fn folder(name: &str) -> PathBuf {
    crate::common::folder(&format!("sae-files/{name}"))
}

fn goldens() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root().join("tests/goldens/saes")).unwrap();
    let all: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
    let goldens: Vec<PathBuf> = all.into_iter().filter(|path| path.join("cfg.json").exists()).collect();
    assert!(goldens.len() >= 8);
    goldens
}

fn convert(from: &Path, to: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_topk-lm"));
    command.arg("convert").args([from, to]).args(more).output().unwrap()
}

fn read(folder: &Path) -> Result<Vec<(topk_lm::weights::SaePart, topk_lm::weights::Tensor)>> {
    Ok(block_on(read_sae(&FolderSource::new(folder)?, None))?.1)
}

/// A golden in 8 bits, in a folder of this name.
fn in_8bit(golden: &Path, name: &str) -> PathBuf {
    let to = folder(name);
    let output = convert(golden, &to, &["--dtype", "int8"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    to
}

/// The tensors of a file, as writers take them.
fn tensors(folder: &Path) -> BTreeMap<String, OutputTensor<'static>> {
    let bytes = std::fs::read(folder.join(WEIGHTS)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let dtype = |dtype| match dtype {
        safetensors::Dtype::I8 => "I8",
        safetensors::Dtype::F16 => "F16",
        _ => "F32",
    };
    let tensors = file.iter().map(|(name, view)| {
        let tensor = OutputTensor {
            name: name.to_owned(),
            dtype: dtype(view.dtype()),
            shape: view.shape().to_vec(),
            data: view.data().to_vec().into(),
        };
        (name.to_owned(), tensor)
    });
    tensors.collect()
}

fn write(folder: &Path, tensors: &BTreeMap<String, OutputTensor>) {
    let list: Vec<OutputTensor> = tensors.values().cloned().collect();
    std::fs::write(folder.join(WEIGHTS), safetensors_bytes(&list).unwrap()).unwrap();
}

/// A matrix in 8 bits is read as the same folder with q · scale in f32, bit for bit; each row reaches ±127, and no number is more than half a
/// step off.
#[test]
fn eight_bits_are_their_products() {
    for golden in goldens() {
        let name = golden.file_name().unwrap().to_string_lossy().into_owned();
        let eight = in_8bit(&golden, &name);
        let before = Tensors::open(&golden.join(WEIGHTS)).all();
        let stored = tensors(&eight);
        let scales = Tensors::open(&eight.join(WEIGHTS)).all();
        let mut products = BTreeMap::new();
        let mut matrices = 0;
        for (key, tensor) in &stored {
            if key.ends_with(".scale") {
                continue;
            }
            if tensor.dtype != "I8" {
                assert_eq!(scales[key], before[key], "{name} {key}");
                products.insert(key.clone(), tensor.clone());
                continue;
            }
            matrices += 1;
            let (shape, scale) = &scales[&format!("{key}.scale")];
            assert_eq!(*shape, [tensor.shape[0]], "{name} {key}");
            let width = tensor.shape[1];
            let numbers: Vec<f32> = tensor
                .data
                .iter()
                .enumerate()
                .map(|(at, &q)| f32::from(q as i8) * scale[at / width])
                .collect();
            for (at, (x, full)) in numbers.iter().zip(&before[key].1).enumerate() {
                assert!((x - full).abs() <= scale[at / width] * 0.5001, "{name} {key} at {at}");
            }
            let reached = tensor.data.chunks_exact(width);
            assert!(reached
                .map(|row| row.iter().map(|q| (*q as i8).unsigned_abs()).max())
                .all(|most| most == Some(127)));
            let product = OutputTensor {
                dtype: "F32",
                data: bytemuck::cast_slice(&numbers).to_vec().into(),
                ..tensor.clone()
            };
            products.insert(key.clone(), product);
        }
        assert_eq!(matrices, if name.starts_with("pursuit") { 1 } else { 2 }, "{name}");
        let full = folder(&format!("{name}-f32"));
        std::fs::copy(golden.join("cfg.json"), full.join("cfg.json")).unwrap();
        write(&full, &products);
        assert!(read(&eight).unwrap() == read(&full).unwrap(), "{name}");
    }
}

/// As it is, in 16 bits, and again from 8.
#[test]
fn what_is_written_is_read_again() {
    for golden in goldens() {
        let name = golden.file_name().unwrap().to_string_lossy().into_owned();
        let same = folder(&format!("{name}-same"));
        assert!(convert(&golden, &same, &[]).status.success());
        assert!(read(&same).unwrap() == read(&golden).unwrap(), "{name}");
        let half = folder(&format!("{name}-f16"));
        assert!(convert(&golden, &half, &["--dtype", "f16"]).status.success());
        let size = |folder: &Path| std::fs::metadata(folder.join(WEIGHTS)).unwrap().len();
        assert!(size(&half) < size(&golden) * 6 / 10, "{name}");
        read(&half).unwrap();
        let eight = in_8bit(&golden, &format!("{name}-8"));
        let again = folder(&format!("{name}-again"));
        assert!(convert(&eight, &again, &["--dtype", "f16"]).status.success());
        assert_eq!(tensors(&again)["b_dec"].dtype, "F16", "{name}");
        assert_eq!(tensors(&again)["W_dec"].data, tensors(&eight)["W_dec"].data, "{name}");
    }
}

#[test]
fn wrong_scales_are_refused() {
    let golden = root().join("tests/goldens/saes/topk-resid-pre");
    let eight = in_8bit(&golden, "wrong");
    let good = tensors(&eight);
    let refused = |change: &dyn Fn(&mut BTreeMap<String, OutputTensor<'static>>)| {
        let mut changed = good.clone();
        change(&mut changed);
        write(&eight, &changed);
        let error = read(&eight).unwrap_err();
        assert_eq!(error.code(), Code::Checkpoint, "{error}");
        error.to_string()
    };
    let without = refused(&|tensors| drop(tensors.remove("W_enc.scale")));
    assert_eq!(without, "sae_weights.safetensors: tensor \"W_enc.scale\" is missing");
    // One for each column, where one for each row is meant.
    let by_column = refused(&|tensors| {
        let scale = tensors.get_mut("W_enc.scale").unwrap();
        (scale.shape, scale.data) = (vec![96], vec![0; 4 * 96].into());
    });
    assert_eq!(
        by_column,
        "sae_weights.safetensors: tensor \"W_enc.scale\" must have the shape [60] that cfg.json says, not [96]"
    );
    let table = refused(&|tensors| tensors.get_mut("W_enc.scale").unwrap().shape = vec![60, 1]);
    assert!(table.ends_with("not [60, 1]"), "{table}");
    let half = refused(&|tensors| {
        let scale = tensors.get_mut("W_enc.scale").unwrap();
        (scale.dtype, scale.data) = ("F16", vec![0; 2 * 60].into());
    });
    assert!(half.ends_with("\"W_enc.scale\" must be F32, not F16"), "{half}");
    let vector = refused(&|tensors| {
        let bias = tensors.get_mut("b_enc").unwrap();
        (bias.dtype, bias.data) = ("I8", vec![0; 96].into());
    });
    assert!(
        vector.ends_with("\"b_enc\" must be F32, F16 or BF16, not I8"),
        "{vector}"
    );
    let odd = refused(&|tensors| {
        let matrix = tensors.get_mut("W_dec").unwrap();
        (matrix.dtype, matrix.data) = ("U32", vec![0; 4 * 60 * 96].into());
    });
    assert!(
        odd.ends_with("must be F32, F16 or BF16 (or I8 with scales), not U32"),
        "{odd}"
    );
    write(&eight, &good);
    let sharded = convert(&eight, &folder("sharded"), &["--shard-size", "1MB"]);
    assert_eq!(sharded.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&sharded.stderr).contains("an autoencoder's weights are one file"));
}
