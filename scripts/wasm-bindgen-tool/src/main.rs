//! `topk-lm-bindings INPUT.wasm OUT_DIR`: writes the bindings under the name of the input, a script, its types and the wasm file
//! (target "web": an ES module that finds the wasm file by `import.meta.url`).

use std::path::Path;
use std::process::ExitCode;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, out_dir] = arguments.as_slice() else {
        eprintln!("usage: topk-lm-bindings INPUT.wasm OUT_DIR");
        return ExitCode::from(2);
    };
    let name = Path::new(input).file_stem().unwrap_or_default().to_string_lossy();
    let mut bindgen = Bindgen::new();
    let written = bindgen
        .input_path(input)
        .out_name(&name)
        .typescript(true)
        .remove_producers_section(true)
        .reset_state_function(true) // a new instance after a trap
        .web(true)
        .and_then(|bindgen| bindgen.generate(out_dir));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{input}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
