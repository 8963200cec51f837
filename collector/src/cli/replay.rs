//! `collector replay`: recordings through the core again.

use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use marketdata::Publication;

use super::complain;
use crate::config;
use crate::replay::{ReplayError, Wishes, replay};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// Captures (see `capture` of a venue), directories of them, or raw frames of any venue: `<receive ns> <frame>`, `<unix seconds>: <frame>`; packed or not
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where the records go instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How often books are published: `every`, or a duration as `100ms` (default: as recorded)
    #[arg(long, value_name = "PACE", value_parser = pace)]
    publish: Option<Publication>,
    /// Published levels a side (default: as recorded)
    #[arg(long, value_name = "LEVELS", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    depth: Option<u16>,
    /// Form of the summary
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    format: SummaryFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SummaryFormat {
    Text,
    Json,
}

/// Runs the verb: 0 when all was there, 1 when something was missing, else as [`ReplayError::exit_code`] says.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let sink: std::io::Result<Box<dyn Write>> = match &arguments.out {
        Some(path) => std::fs::File::create(path).map(|file| Box::new(file) as Box<dyn Write>),
        None => Ok(Box::new(std::io::stdout())),
    };
    let wishes = Wishes { publish: arguments.publish, depth: arguments.depth.map(usize::from) };
    let outcome = sink.map_err(ReplayError::Output).and_then(|sink| replay(&arguments.files, wishes, &mut BufWriter::new(sink)));
    match outcome {
        Ok(summary) => {
            complain(&match arguments.format {
                SummaryFormat::Text => summary.to_text(),
                SummaryFormat::Json => format!("{}\n", summary.to_json()),
            });
            if summary.is_whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            complain(&format!("collector: {error}\n"));
            ExitCode::from(error.exit_code())
        }
    }
}

/// `every`, or a duration.
fn pace(text: &str) -> Result<Publication, String> {
    if text == "every" {
        return Ok(Publication::EveryUpdate);
    }
    config::duration(text).map(Publication::Conflated).ok_or_else(|| "neither `every` nor a duration as `100ms`".to_owned())
}
