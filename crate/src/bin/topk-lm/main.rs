//! The command `topk-lm`. Exit code 2: the command line cannot be parsed; 1: anything else failed. Either way stderr gets one line.

#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented
    )
)]

mod analyze;
mod bench;
mod common;
mod convert;
mod generate;
mod info;
mod manifest;
mod run;
mod steer;
mod topk;
mod turn;
mod write;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// Registers of 64 bytes read twice, and write much more slowly, what begins in the middle of a cache line, as the C library's large blocks do.
#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Run, read and edit TopK language models, neuron by neuron
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What each does is said where its arguments are: of a doc comment here, clap would show nothing else.
#[derive(Subcommand)]
enum Command {
    Info(info::InfoArgs),
    Generate(generate::GenerateArgs),
    Run(run::RunArgs),
    Topk(topk::TopKArgs),
    Analyze(analyze::AnalyzeArgs),
    Merge(analyze::MergeArgs),
    Steer(steer::SteerArgs),
    Turn(turn::TurnArgs),
    Write(write::WriteArgs),
    Convert(convert::ConvertArgs),
    Manifest(manifest::ManifestArgs),
    Bench(bench::BenchArgs),
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or_default();
        let message = text.replace('\n', " ");
        complain(&format!(
            "this is a bug in topk-lm, please report it: {message} ({location})"
        ));
        std::process::exit(1);
    }));
    // Without a desktop session, Mesa's device-select layer complains on stderr about the missing display, which nothing here needs.
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() && std::env::var_os("NODEVICE_SELECT").is_none() {
        std::env::set_var("NODEVICE_SELECT", "1");
    }
    let cli = match parsed(std::env::args_os().collect()) {
        Ok(cli) => cli,
        // Help and version go to stdout.
        Err(error) if !error.use_stderr() => {
            return match error.print() {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                    complain(&format!("stdout: {error}"));
                    ExitCode::FAILURE
                }
                _ => ExitCode::SUCCESS,
            };
        }
        Err(error) => {
            complain(&one_line(&error));
            return ExitCode::from(2);
        }
    };
    let result = match &cli.command {
        Command::Info(args) => info::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Run(args) => run::run(args),
        Command::Topk(args) => topk::run(args),
        Command::Analyze(args) => analyze::run(args),
        Command::Merge(args) => analyze::merge(args),
        Command::Steer(args) => steer::run(args),
        Command::Turn(args) => turn::run(args),
        Command::Write(args) => write::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Manifest(args) => manifest::run(args),
        Command::Bench(args) => bench::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Prints one line on stderr; whether anybody reads it changes nothing.
fn complain(message: &str) {
    let message = topk_lm::error::within(message.to_owned());
    common::remark(&format!("error: {message}"));
}

/// The command line. A value may be a negative number everywhere: where it must not, the flag says what it takes.
fn parsed(words: Vec<OsString>) -> Result<Cli, clap::Error> {
    let command = subcommands().into_iter().fold(Cli::command(), |command, name| {
        command.mut_subcommand(name, |subcommand| {
            subcommand.mut_args(|arg| {
                let may = arg.get_action().takes_values() && !arg.is_allow_hyphen_values_set();
                arg.allow_negative_numbers(may)
            })
        })
    });
    Cli::from_arg_matches(&command.try_get_matches_from(with_stops(words))?)
}

fn subcommands() -> Vec<String> {
    let command = Cli::command();
    command.get_subcommands().map(|one| one.get_name().to_owned()).collect()
}

/// `--stop` takes several texts, up to the next flag. One that begins with a single hyphen is a text, too, for which clap has no setting: it and
/// those behind it get a `--stop=` of their own.
fn with_stops(words: Vec<OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = Vec::new();
    let (mut stops, mut apart) = (false, false);
    for word in words {
        let bytes = word.as_encoded_bytes();
        if bytes.starts_with(b"--") || bytes == b"-h" {
            (stops, apart) = (bytes == b"--stop", false);
        } else if stops && (apart || bytes.starts_with(b"-")) {
            apart = true;
            all.pop_if(|last| *last == "--stop");
            let mut own = OsString::from("--stop=");
            own.push(&word);
            all.push(own);
            continue;
        }
        all.push(word);
    }
    all
}

/// clap's message on one line, without usage, and with what it takes for meant.
fn one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let names = subcommands().join(", ");
        return format!("a subcommand is missing, one of {names}; topk-lm --help says what each does");
    }
    let message = error.to_string();
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    let lines = message.lines().take_while(|line| !line.trim().is_empty());
    let mut line = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    let kinds = [
        ContextKind::SuggestedArg,
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedValue,
    ];
    let meant = kinds.iter().find_map(|&kind| match error.get(kind)? {
        ContextValue::String(one) => Some(one.clone()),
        // clap puts what is most alike last.
        ContextValue::Strings(several) => several.last().cloned(),
        _ => None,
    });
    if let Some(meant) = meant {
        line += &format!("; did you mean {meant}?");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_may_begin_with_a_hyphen() {
        for (given, expected) in [
            ("--stop -a", "--stop=-a"),
            ("--stop - -1 b --json", "--stop=- --stop=-1 --stop=b --json"),
            ("--stop a -b c --json d", "--stop a --stop=-b --stop=c --json d"),
            ("--stop a b", "--stop a b"),
            ("--stop a --jsn", "--stop a --jsn"),
            ("--stop -a --jsn", "--stop=-a --jsn"),
            ("--stop a -h", "--stop a -h"),
            ("--stop", "--stop"),
            ("--seed -1", "--seed -1"),
        ] {
            let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
            assert_eq!(with_stops(words(given)), words(expected));
        }
        let line = "topk-lm generate --model x --ids 1 --stop -a - b";
        assert!(parsed(line.split(' ').map(OsString::from).collect()).is_ok());
    }
}
