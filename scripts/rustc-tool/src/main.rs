//! rustc, as cargo calls it through `RUSTC_WRAPPER`, without some features of some crates: `WITHOUT_FEATURES` lists them as
//! `crate:feature,feature;crate:feature`. Cargo itself can't do that, since a crate between asks for them by default.

use std::collections::HashSet;
use std::process::{exit, Command};

fn main() {
    let mut args = std::env::args_os().skip(1);
    let Some(rustc) = args.next() else {
        eprintln!("topk-lm-rustc is to be called as RUSTC_WRAPPER, by cargo.");
        exit(2);
    };
    let args: Vec<_> = args.collect();
    let crate_name = args
        .windows(2)
        .find(|pair| pair[0] == "--crate-name")
        .and_then(|pair| pair[1].to_str());
    let list = std::env::var("WITHOUT_FEATURES").unwrap_or_default();
    let without: HashSet<String> = list
        .split(';')
        .filter_map(|entry| entry.split_once(':'))
        .filter(|(name, _)| Some(*name) == crate_name)
        .flat_map(|(_, features)| features.split(',').map(|feature| format!("feature=\"{feature}\"")))
        .collect();

    let mut kept = Vec::with_capacity(args.len());
    for arg in args {
        if arg.to_str().is_some_and(|text| without.contains(text)) {
            kept.pop(); // its --cfg
        } else {
            kept.push(arg);
        }
    }
    match Command::new(&rustc).args(kept).status() {
        Ok(status) => exit(status.code().unwrap_or(1)),
        Err(error) => {
            eprintln!("{}: {error}", rustc.display());
            exit(1);
        }
    }
}
