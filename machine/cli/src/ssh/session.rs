//! One shell or command: streams both ways, its size, its exit status.

use std::io::Read as _;
use std::sync::Arc;

use russh::client::{Handle, Msg};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Disconnect, Sig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::terminal::{Raw, size};
use super::{Pinned, What, lost};
use crate::Ui;
use crate::commands::Outcome;
use crate::error::CommandError;

/// `SSH_EXTENDED_DATA_STDERR`
const STDERR: u32 = 1;
const CHUNK: usize = 32 * 1024;

/// Runs it with `input`, of which nothing more comes when it is closed.
pub(crate) async fn run(
    connection: &Handle<Pinned>,
    what: What,
    input: mpsc::Receiver<Vec<u8>>,
    ui: &Ui,
) -> Outcome {
    let channel = connection.channel_open_session().await.map_err(lost)?;
    let (mut from_guest, to_guest) = channel.split();
    let to_guest = Arc::new(to_guest);

    let mut raw = None;
    match what {
        What::Terminal { kind } => {
            let (columns, rows) = size();
            to_guest.request_pty(false, &kind, columns, rows, 0, 0, &[]).await.map_err(lost)?;
            to_guest.request_shell(true).await.map_err(lost)?;
            raw = Some(Raw::enter().map_err(|error| {
                CommandError::failed("the terminal cannot be made raw").because(&error)
            })?);
            tokio::spawn(pass_size_on(to_guest.clone()));
        }
        What::Shell => to_guest.request_shell(true).await.map_err(lost)?,
        What::Command(command) => to_guest.exec(true, command).await.map_err(lost)?,
    }
    // Input has a task of its own: a full window towards the guest must not stop what comes back.
    let input = tokio::spawn(pass_input_on(input, to_guest));
    let outcome = pass_output_on(&mut from_guest, ui).await;
    input.abort();
    drop(raw);
    // The guest notices the closed connection too, should this not arrive.
    let _gone = connection.disconnect(Disconnect::ByApplication, "", "en").await;
    outcome
}

/// Until the channel is closed; the exit status may come before the last output.
async fn pass_output_on(from_guest: &mut ChannelReadHalf, ui: &Ui) -> Outcome {
    let mut status = None;
    while let Some(message) = from_guest.wait().await {
        let written = match message {
            ChannelMsg::Data { data } => ui.raw_result(&data),
            ChannelMsg::ExtendedData { data, ext: STDERR } => ui.raw_note(&data),
            ChannelMsg::ExitStatus { exit_status } => {
                // Only eight bits of it can be passed on.
                status = Some(u8::try_from(exit_status & 0xff).unwrap_or(u8::MAX));
                Ok(())
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                status = Some(128 + number(&signal_name));
                Ok(())
            }
            ChannelMsg::Failure => {
                return Err(CommandError::failed("the guest refused to run the command"));
            }
            ChannelMsg::Close => break,
            _ => Ok(()),
        };
        if let Err(error) = written {
            return Err(CommandError::failed("the output cannot be written").because(&error));
        }
    }
    status.ok_or_else(|| {
        CommandError::failed("the SSH connection ended before the command did")
            .hint("see what the machine does: machine status NAME")
    })
}

/// Reading stdin blocks, and a blocked read must not keep the program from ending: it has a thread
/// that nobody waits for.
pub(crate) fn read_stdin() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(8);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = stdin.read(&mut buffer) {
            let chunk = buffer.get(..length).unwrap_or_default().to_vec();
            if sender.blocking_send(chunk).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn pass_input_on(mut input: mpsc::Receiver<Vec<u8>>, to_guest: Arc<ChannelWriteHalf<Msg>>) {
    while let Some(chunk) = input.recv().await {
        if to_guest.data_bytes(chunk).await.is_err() {
            return;
        }
    }
    // The other direction stays open.
    let _gone = to_guest.eof().await;
}

async fn pass_size_on(to_guest: Arc<ChannelWriteHalf<Msg>>) {
    let Ok(mut changes) = signal(SignalKind::window_change()) else { return };
    while changes.recv().await.is_some() {
        let (columns, rows) = size();
        if to_guest.window_change(columns, rows, 0, 0).await.is_err() {
            return;
        }
    }
}

fn number(signal: &Sig) -> u8 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(_) => 127,
    }
}
