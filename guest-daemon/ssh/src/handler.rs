//! One connection: who may log in, and which channels become processes.

use std::collections::HashMap;
use std::sync::Arc;

use guest_process::TerminalSize;
use russh::keys::PublicKey;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Pty};
use tokio::sync::oneshot;

use crate::keys::may_log_in;
use crate::relay;
use crate::shell::{self, Request};

/// Channels of one connection that have not become processes yet.
const WAITING_CHANNELS: usize = 16;
const VARIABLES: usize = 64;
const VARIABLE_BYTES: usize = 4096;

pub(crate) struct Login {
    authorized: Arc<[PublicKey]>,
    logged_in: Option<oneshot::Sender<()>>,
    waiting: HashMap<ChannelId, Waiting>,
}

/// A session channel whose program is not known yet.
struct Waiting {
    channel: Channel<Msg>,
    request: Request,
}

impl Login {
    pub(crate) fn new(authorized: Arc<[PublicKey]>, logged_in: oneshot::Sender<()>) -> Self {
        Login { authorized, logged_in: Some(logged_in), waiting: HashMap::new() }
    }

    fn decide(&self, user: &str, key: &PublicKey) -> Auth {
        if may_log_in(user, key, &self.authorized) { Auth::Accept } else { Auth::reject() }
    }

    /// Starts the channel's program and answers the request for it.
    fn start(
        &mut self,
        id: ChannelId,
        command: Option<&[u8]>,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let Some(Waiting { channel, mut request }) = self.waiting.remove(&id) else {
            return session.channel_failure(id);
        };
        request.command = command.map(<[u8]>::to_vec);
        match shell::start(&request) {
            Ok(running) => {
                session.channel_success(id)?;
                tokio::spawn(relay::run(channel, session.handle(), running));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "ssh: the shell does not start");
                session.channel_failure(id)
            }
        }
    }
}

impl Handler for Login {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.decide(user, offer.public_key))
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let decision = self.decide(user, key.public_key);
        if decision == Auth::Accept {
            tracing::info!(user, "ssh login");
        }
        Ok(decision)
    }

    async fn auth_succeeded(&mut self, _session: &mut Session) -> Result<(), Self::Error> {
        if let Some(logged_in) = self.logged_in.take() {
            // Nobody listens when the session is about to end.
            let _unheard = logged_in.send(());
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        // A handle that is dropped refuses.
        if self.waiting.len() < WAITING_CHANNELS {
            self.waiting.insert(channel.id(), Waiting { channel, request: Request::default() });
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.waiting.remove(&channel);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let Some(waiting) = self.waiting.get_mut(&channel) else {
            return session.channel_failure(channel);
        };
        waiting.request.terminal = Some(size(rows, columns));
        if !term.is_empty() && term.len() <= VARIABLE_BYTES {
            waiting.request.env.push(("TERM".to_owned(), term.to_owned()));
        }
        session.channel_success(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // As servers usually do: only what says how to show text.
        let welcome = (name == "LANG" || name.starts_with("LC_"))
            && name.len() + value.len() <= VARIABLE_BYTES;
        match self.waiting.get_mut(&channel) {
            Some(waiting) if welcome && waiting.request.env.len() < VARIABLES => {
                waiting.request.env.push((name.to_owned(), value.to_owned()));
                session.channel_success(channel)
            }
            _ => session.channel_failure(channel),
        }
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(channel, None, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(channel, Some(command), session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        tracing::info!(subsystem = name, "ssh: this subsystem is not implemented");
        session.channel_failure(channel)
    }
}

/// A terminal's size; one that is out of range is unknown.
pub(crate) fn size(rows: u32, columns: u32) -> TerminalSize {
    match (u16::try_from(rows), u16::try_from(columns)) {
        (Ok(rows), Ok(columns)) => TerminalSize { rows, columns },
        _ => TerminalSize::default(),
    }
}
