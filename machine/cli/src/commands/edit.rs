//! `machine edit`: a machine's configuration in the user's editor.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use machine_lifecycle::{MachineConfig, MachineName};

use super::{DONE, Outcome, names, set};
use crate::Context;
use crate::error::CommandError;

/// A longer text is no configuration.
const LIMIT: u64 = 64 * 1024;

const HEADER: &str = "\
# The configuration of a machine; what begins with # is not read.
# Save and close to apply it. Close without a change and everything stays as it is.
";

/// Edit the configuration of a machine
///
/// Opens $VISUAL or $EDITOR. What is not a valid configuration is opened again with the reason; until
/// it is valid, nothing is changed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which machine [default: the one called default]
    name: Option<String>,
}

pub(crate) async fn run(args: &Args, context: &Context) -> Outcome {
    let name = names::one(args.name.as_deref(), context)?;
    let config = context.machines.config(&name)?;
    let body = config
        .to_yaml()
        .map_err(|error| CommandError::failed("no YAML could be made").because(&error))?;
    let mut text = format!("{HEADER}\n{body}");
    let mut problem: Option<CommandError> = None;
    loop {
        let edited = edit(&text, context)?;
        if edited == text {
            return match problem {
                Some(problem) => Err(problem.hint("nothing was changed")),
                None => {
                    context.ui.note("Nothing was changed.");
                    DONE
                }
            };
        }
        match apply(&name, &edited, context).await {
            Ok(()) => return DONE,
            Err(error) => {
                text = with_problem(&edited, &error);
                problem = Some(error);
            }
        }
    }
}

async fn apply(name: &MachineName, text: &str, context: &Context) -> Result<(), CommandError> {
    let config = parsed(text)?;
    let changed = context.machines.configure(name, &config).await?;
    set::report(name, changed, context);
    Ok(())
}

fn parsed(text: &str) -> Result<MachineConfig, CommandError> {
    MachineConfig::from_yaml(text).map_err(|error| {
        let error: &(dyn std::error::Error + 'static) = &error;
        let message = CommandError::usage(error.to_string());
        match error.source() {
            Some(cause) => message.because(cause),
            None => message,
        }
    })
}

/// The text as it was left, with what is wrong above it.
fn with_problem(text: &str, problem: &CommandError) -> String {
    let body = text.trim_start_matches('\n').lines();
    let body: Vec<&str> = body.skip_while(|line| line.starts_with('#')).collect();
    let body = body.join("\n");
    let body = body.trim_start_matches('\n');
    let header = |problem: &CommandError| {
        let reasons = std::iter::once(&problem.message).chain(&problem.causes);
        let reasons = reasons.flat_map(|reason| reason.lines());
        let reasons: String = reasons.map(|reason| format!("# error: {reason}\n")).collect();
        format!("{HEADER}#\n{reasons}\n")
    };
    let first = header(problem);
    // Lines are counted from the top of what is shown now.
    match parsed(&format!("{first}{body}\n")) {
        Err(problem) => format!("{}{body}\n", header(&problem)),
        Ok(_) => format!("{first}{body}\n"),
    }
}

/// Shows a text in the editor and answers with what it has become.
fn edit(text: &str, context: &Context) -> Result<String, CommandError> {
    let no_file = |error: std::io::Error| {
        CommandError::failed("there is no file to edit; nothing was changed").because(&error)
    };
    let mut file =
        tempfile::Builder::new().prefix("machine-").suffix(".yaml").tempfile().map_err(no_file)?;
    file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(no_file)?;
    file.seek(SeekFrom::Start(0)).map_err(no_file)?;
    let editor = context.variable("VISUAL").or_else(|| context.variable("EDITOR")).unwrap_or("vi");
    open(editor, file.path())?;
    // By its name: many editors put a new file in the place of the old one.
    machine_store::atomic::read(file.path(), LIMIT).map_err(|error| {
        CommandError::failed("what was edited cannot be read; nothing was changed").because(&error)
    })
}

/// The editor may be a command with arguments, which is a shell's to take apart.
fn open(editor: &str, path: &Path) -> Result<(), CommandError> {
    let hint = "name an editor in VISUAL or EDITOR";
    let ended = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("{editor} \"$1\""), "edit"])
        .arg(path)
        .status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(CommandError::failed(format!(
            "the editor {:?} failed ({status}); nothing was changed",
            editor
        ))
        .hint(hint)),
        Err(error) => Err(CommandError::failed("no editor could be started; nothing was changed")
            .because(&error)
            .hint(hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_stands_above_the_text_and_counts_its_lines_right() {
        let text = format!("{HEADER}\ncpus: 2\ncolour: red\n");
        let shown = with_problem(&text, &parsed(&text).unwrap_err());
        let wrong = shown.lines().position(|line| line == "colour: red").unwrap() + 1;
        assert!(shown.contains("# error: ") && shown.contains("colour"), "{shown}");
        assert!(shown.contains(&format!("line {wrong} ")), "{wrong}: {shown}");
        // However often.
        assert_eq!(with_problem(&shown, &parsed(&shown).unwrap_err()), shown);
    }
}
