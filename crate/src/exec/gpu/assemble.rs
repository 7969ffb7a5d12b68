// How a kernel is put together from its parts, and which bindings it has. build.rs and scripts/shader-tool include this file.

use std::collections::BTreeMap as Files;

/// Every `.wgsl` below `folder`, by its path from the top.
pub fn read(folder: &std::path::Path, prefix: &str, files: &mut Files<String, String>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{prefix}{name}/"), files)?;
        } else if name.ends_with(".wgsl") {
            let text =
                std::fs::read_to_string(entry.path()).map_err(|error| format!("{}: {error}", entry.path().display()))?;
            files.insert(format!("{prefix}{name}"), text);
        }
    }
    Ok(())
}

/// The text of a kernel: a line `// @import parts/x.wgsl` is replaced by that file (its own imports first); each part appears
/// once, before its first user.
pub fn assemble(name: &str, files: &Files<String, String>) -> Result<String, String> {
    let order = order(name, files)?;
    Ok(order.iter().filter_map(|file| Some(body(files.get(file)?))).collect())
}

/// The files that a kernel is made of, in the order in which their bodies follow each other.
pub fn order(name: &str, files: &Files<String, String>) -> Result<Vec<String>, String> {
    let mut done = Vec::new();
    append(name, files, &mut Vec::new(), &mut done)?;
    Ok(done)
}

fn append(
    name: &str,
    files: &Files<String, String>,
    chain: &mut Vec<String>,
    done: &mut Vec<String>,
) -> Result<(), String> {
    if chain.iter().any(|file| file == name) {
        return Err(format!("shaders/{name} imports itself: {} → {name}", chain.join(" → ")));
    }
    if done.iter().any(|file| file == name) {
        return Ok(());
    }
    let Some(source) = files.get(name) else {
        return Err(format!(
            "shaders/{name} does not exist; {} imports it",
            chain.last().map_or("nothing", String::as_str)
        ));
    };
    chain.push(name.to_owned());
    for import in source.lines().filter_map(|line| line.strip_prefix("// @import ")) {
        append(import.trim(), files, chain, done)?;
    }
    chain.pop();
    done.push(name.to_owned());
    Ok(())
}

/// A file without its imports, comments and empty lines: who downloads the engine needs none of them. Indentation stays: barriers are counted by it.
pub fn body(source: &str) -> String {
    let code = source.lines().map(|line| line.split("//").next().unwrap_or_default().trim_end());
    code.filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect()
}

/// (number, name, whether it is written) of every storage binding of group 0, by number.
pub fn bindings(name: &str, text: &str) -> Result<Vec<(u32, String, bool)>, String> {
    let mut found = Vec::new();
    for line in text.lines() {
        let Some(rest) = line.strip_prefix("@group(0) @binding(") else {
            continue;
        };
        let parsed = rest.split_once(") var<").and_then(|(number, rest)| {
            let (space, rest) = rest.split_once("> ")?;
            let (variable, _) = rest.split_once(':')?;
            Some((number.parse::<u32>().ok()?, space, variable.trim()))
        });
        match parsed {
            Some((_, "uniform", _)) => {}
            Some((number, space, variable)) if space.starts_with("storage") => {
                found.push((number, variable.to_owned(), space.contains("write")));
            }
            _ => return Err(format!("shaders/{name}: the binding cannot be read: {line}")),
        }
    }
    found.sort();
    if let Some(pair) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("shaders/{name}: {} and {} have one binding", pair[0].1, pair[1].1));
    }
    Ok(found)
}
