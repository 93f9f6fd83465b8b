//! `docker top`.

use super::types::{Status, Top};
use super::{Containers, not_running};
use crate::error::{Error, Result};
use crate::ports::ProcessEntry;

type Column = (&'static str, fn(&ProcessEntry, i128) -> String);

const FULL: [Column; 8] = [
    ("UID", |entry, _| entry.user.clone()),
    ("PID", |entry, _| entry.pid.to_string()),
    ("PPID", |entry, _| entry.parent.to_string()),
    ("C", |entry, _| entry.cpu_percent.to_string()),
    ("STIME", |entry, now| start_time(entry.started_unix_nanos, now)),
    ("TTY", |entry, _| entry.terminal.clone()),
    ("TIME", |entry, _| cpu_time(entry.cpu_seconds)),
    ("CMD", |entry, _| entry.command.clone()),
];

impl Containers {
    pub async fn top(&self, reference: &str, ps_args: &str) -> Result<Top> {
        let columns = columns(ps_args)?;
        let handle = self.core.registry.find(reference)?;
        let snapshot = handle.look();
        match snapshot.container.state.status {
            Status::Running => {}
            Status::Restarting => {
                return Err(Error::conflict(format!(
                    "Container {reference} is restarting, wait until the container is running"
                )));
            }
            Status::Created | Status::Paused | Status::Removing | Status::Exited | Status::Dead => {
                return Err(not_running(&handle.id));
            }
        }
        let table = self.core.runtime.process_table(&handle.id).await?;
        let now = self.core.clock.now();
        Ok(Top {
            titles: columns.iter().map(|(title, _)| (*title).to_owned()).collect(),
            processes: table
                .iter()
                .map(|entry| columns.iter().map(|(_, show)| show(entry, now)).collect())
                .collect(),
        })
    }
}

/// `-ef` (also nothing), and `-o` with the columns above.
fn columns(ps_args: &str) -> Result<Vec<Column>> {
    let refused = || {
        Error::unimplemented(format!(
            "ps arguments \"{ps_args}\" are not implemented, use -ef or -o"
        ))
    };
    let words: Vec<&str> = ps_args.split_whitespace().collect();
    let list = match words.as_slice() {
        [] | ["-ef" | "-e" | "ef" | "-Af"] => return Ok(FULL.to_vec()),
        ["-o" | "-eo", list] => *list,
        ["-e", "-o", list] => *list,
        _ => return Err(refused()),
    };
    list.split(',')
        .map(|name| {
            let title = match name {
                "user" | "uid" | "euser" => "UID",
                "pid" => "PID",
                "ppid" => "PPID",
                "c" => "C",
                "stime" | "start" => "STIME",
                "tty" | "tt" => "TTY",
                "time" | "cputime" => "TIME",
                "cmd" | "args" | "command" => "CMD",
                _ => return Err(refused()),
            };
            FULL.iter().find(|(known, _)| *known == title).copied().ok_or_else(refused)
        })
        .collect()
}

/// The hour of today, else the day.
fn start_time(started: i128, now: i128) -> String {
    let at = |nanos| {
        jiff::Timestamp::from_nanosecond(nanos)
            .unwrap_or_default()
            .to_zoned(jiff::tz::TimeZone::UTC)
    };
    let (started, now) = (at(started), at(now));
    let form = if started.date() == now.date() { "%H:%M" } else { "%b%d" };
    started.strftime(form).to_string()
}

fn cpu_time(seconds: u64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_can_be_chosen_and_unknown_arguments_are_refused() {
        assert_eq!(columns("").unwrap().len(), 8);
        let titles: Vec<_> = columns("-o pid,args").unwrap().iter().map(|(t, _)| *t).collect();
        assert_eq!(titles, ["PID", "CMD"]);
        assert!(columns("aux --forest").is_err());
        assert_eq!(cpu_time(3_725), "01:02:05");
    }
}
