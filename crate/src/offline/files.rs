//! Files that exist whole or not at all, and their hashes.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::hex;
use crate::error::{fail, Code, Error, Result};

/// Where an analysis keeps its state, in the folder of its result, until it is finished.
pub const UNFINISHED: &str = "analysis.part";

/// An error of code `io` about a path.
pub fn io_error(path: &Path, what: &str, error: &std::io::Error) -> Error {
    Error::new(Code::Io, format!("{} cannot be {what}: {error}", path.display()))
}

/// Writes a file of a folder, and creates missing folders. A link that was there is replaced, never followed: whoever made the folder may have
/// put it there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    make_parent(path)?;
    put(path, bytes).map_err(|error| io_error(path, "written", &error))
}

/// [`replace`] that creates missing folders.
pub fn write_named(path: &Path, bytes: &[u8]) -> Result<()> {
    make_parent(path)?;
    replace(path, bytes)
}

fn make_parent(path: &Path) -> Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).map_err(|error| io_error(folder, "made", &error))?;
    }
    Ok(())
}

/// Writes a file that the user named: what [is no plain file](is_special) is written through.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = if is_special(path) {
        fs::write(path, bytes)
    } else {
        put(path, bytes)
    };
    written.map_err(|error| io_error(path, "written", &error))
}

/// Writes a file under another name, then renames it, so that what was there stays until all is written.
fn put(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = beside(path, ".draft");
    let write = || {
        let _ = fs::remove_file(&draft); // of a run that was killed; or a link, which must not be followed
        let mut file = OpenOptions::new().write(true).create_new(true).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&draft); // half of it helps nobody, least of all on a full disk
    })
}

/// Where the files of a model folder may lie: in it, or in the `blobs` of Hugging Face's cache, to which its snapshots link.
pub struct Bounds {
    folder: PathBuf,
    blobs: Option<PathBuf>,
}

impl Bounds {
    pub fn of(folder: &Path) -> Result<Bounds> {
        let folder = resolved(folder)?;
        let snapshots = folder.ancestors().skip(1).find(|above| above.ends_with("snapshots"));
        let blobs = snapshots.and_then(Path::parent).map(|cache| cache.join("blobs"));
        Ok(Bounds { folder, blobs })
    }

    /// Where a file or folder of it lies. Refuses a link to what is not the model's: a copy or a list would show it to whoever gets that.
    pub fn check(&self, path: &Path) -> Result<PathBuf> {
        let target = resolved(path)?;
        if !target.starts_with(&self.folder) && !self.blobs.as_ref().is_some_and(|blobs| target.starts_with(blobs)) {
            fail!(
                Argument,
                "{} is a link that leads out of the folder; put the {} itself there, or remove the link",
                path.display(),
                if target.is_dir() { "folder" } else { "file" }
            );
        }
        Ok(target)
    }
}

/// The path without links.
fn resolved(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| io_error(path, "read", &error))
}

/// Whether the path names a device, a pipe or a link: a file put in its place would take it away.
pub fn is_special(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// The name of a folder, after resolving links and dots.
pub fn name_of(folder: &Path) -> String {
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    whole
        .file_name()
        .map_or(String::new(), |name| name.to_string_lossy().into_owned())
}

/// The path with `suffix` appended to its name.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A whole file of at most `limit` bytes.
pub fn read_whole(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let unreadable = |error| io_error(path, "read", &error);
    let file = File::open(path).map_err(unreadable)?;
    // What a plain file says of itself spares the reading; a pipe or device says 0.
    let said = file.metadata().map_err(unreadable)?.len();
    let mut bytes = Vec::new();
    if said <= limit {
        file.take(limit + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if said.max(bytes.len() as u64) > limit {
        return Err(Error::new(
            Code::Io,
            format!("{} is larger than the limit of {limit} bytes", path.display()),
        ));
    }
    Ok(bytes)
}

/// A file's size and its SHA-256 in hexadecimal digits.
pub fn sha256(path: &Path) -> Result<(u64, String)> {
    let unreadable = |error| io_error(path, "read", &error);
    let mut file = File::open(path).map_err(unreadable)?;
    let (mut hash, mut size, mut part) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        match file.read(&mut part).map_err(unreadable)? {
            0 => break,
            n => {
                hash.update(&part[..n]);
                size += n as u64;
            }
        }
    }
    Ok((size, hex(&hash.finalize())))
}

/// SHA-256 of several pieces, each preceded by its length.
#[derive(Default)]
pub struct Hash(Sha256);

impl Hash {
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub fn file(&mut self, path: &Path) -> Result<()> {
        let unreadable = |error| io_error(path, "read", &error);
        let mut file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        self.0.update(length.to_le_bytes());
        let mut part = vec![0; 1 << 20];
        loop {
            match file.read(&mut part).map_err(unreadable)? {
                0 => return Ok(()),
                n => self.0.update(&part[..n]),
            }
        }
    }

    pub fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}
