//! launchd's agents.

use super::Unit;

pub(super) fn file_name(machine: &str) -> String {
    format!("machine.{machine}.plist")
}

/// The line by which an agent is known. A comment must not have two dashes in a row.
pub(super) fn mark(unit: &Unit) -> String {
    format!("<!-- {} -->", escaped(&unit.mark()).replace("--", "-&#45;"))
}

pub(super) fn text(unit: &Unit) -> String {
    let string = |text: &str| format!("<string>{}</string>", escaped(text));
    let arguments: String = [
        &*unit.program.to_string_lossy(),
        "--storage-path",
        &*unit.storage.to_string_lossy(),
        "start",
        &unit.machine,
    ]
    .iter()
    .map(|argument| format!("    {}\n", string(argument)))
    .collect();
    let variables: String = unit
        .variables
        .iter()
        .map(|(name, value)| format!("    <key>{}</key>\n    {}\n", escaped(name), string(value)))
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         {}\n\
         <plist version=\"1.0\">\n\
         <dict>\n\
         \x20 <key>Label</key>\n\
         \x20 {}\n\
         \x20 <key>ProgramArguments</key>\n\
         \x20 <array>\n{arguments}  </array>\n\
         \x20 <key>EnvironmentVariables</key>\n\
         \x20 <dict>\n{variables}  </dict>\n\
         \x20 <key>RunAtLoad</key>\n\
         \x20 <true/>\n\
         \x20 <key>AbandonProcessGroup</key>\n\
         \x20 <true/>\n\
         </dict>\n\
         </plist>\n",
        mark(unit),
        string(&format!("machine.{}", unit.machine)),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
