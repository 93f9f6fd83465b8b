//! One connection: who may log in, and what its channels become.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use guest_process::TerminalSize;
use russh::keys::PublicKey;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Pty};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::forward::{self, Asked, Listeners};
use crate::keys::may_log_in;
use crate::shell::{self, Request};
use crate::{relay, sftp};

/// Channels of one connection at a time, of all kinds. A forwarded port of a busy program has one
/// for each of its connections.
const CHANNELS: usize = 256;
const VARIABLES: usize = 64;
const VARIABLE_BYTES: usize = 4096;

pub(crate) struct Login {
    authorized: Arc<[PublicKey]>,
    engine: Arc<Path>,
    logged_in: Option<oneshot::Sender<()>>,
    places: Arc<Semaphore>,
    waiting: HashMap<ChannelId, Waiting>,
    listeners: Listeners,
}

/// A session channel whose program is not known yet.
struct Waiting {
    channel: Channel<Msg>,
    request: Request,
    place: OwnedSemaphorePermit,
}

impl Login {
    pub(crate) fn new(
        authorized: Arc<[PublicKey]>,
        engine: Arc<Path>,
        logged_in: oneshot::Sender<()>,
    ) -> Self {
        Login {
            authorized,
            engine,
            logged_in: Some(logged_in),
            places: Arc::new(Semaphore::new(CHANNELS)),
            waiting: HashMap::new(),
            listeners: Listeners::default(),
        }
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
        let Some(Waiting { channel, mut request, place }) = self.waiting.remove(&id) else {
            return session.channel_failure(id);
        };
        if command == Some(forward::DIAL) && request.terminal.is_none() {
            session.channel_success(id)?;
            let engine = self.engine.to_path_buf();
            tokio::spawn(forward::to_engine(channel, session.handle(), place, engine));
            return Ok(());
        }
        request.command = command.map(<[u8]>::to_vec);
        match shell::start(&request) {
            Ok(running) => {
                session.channel_success(id)?;
                let handle = session.handle();
                tokio::spawn(async move {
                    relay::run(channel, handle, running).await;
                    drop(place);
                });
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "ssh: the shell does not start");
                session.channel_failure(id)
            }
        }
    }

    /// A channel for a forwarded connection; `None` refuses.
    fn asked(
        &self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &Session,
    ) -> Option<Asked> {
        let place = self.places.clone().try_acquire_owned().ok()?;
        Some(Asked { channel, reply, session: session.handle(), place })
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
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            let waiting = Waiting { channel, request: Request::default(), place };
            self.waiting.insert(waiting.channel.id(), waiting);
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let (Ok(port), Some(asked)) = (u16::try_from(port), self.asked(channel, reply, session))
        {
            tokio::spawn(forward::to_address(asked, host.to_owned(), port));
        }
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(asked) = self.asked(channel, reply, session) {
            tokio::spawn(forward::to_socket(asked, path.to_owned()));
        }
        Ok(())
    }

    async fn tcpip_forward(
        &mut self,
        address: &str,
        port: &mut u32,
        session: &mut Session,
    ) -> Result<bool, Self::Error> {
        let Ok(wanted) = u16::try_from(*port) else { return Ok(false) };
        let opened =
            self.listeners.open(address, wanted, session.handle(), self.places.clone()).await;
        match opened {
            Ok(chosen) => {
                *port = chosen.into();
                Ok(true)
            }
            Err(error) => {
                tracing::info!(address, port, %error, "ssh: a port is not forwarded");
                Ok(false)
            }
        }
    }

    async fn cancel_tcpip_forward(
        &mut self,
        address: &str,
        port: u32,
        _session: &mut Session,
    ) -> Result<bool, Self::Error> {
        Ok(u16::try_from(port).is_ok_and(|port| self.listeners.close(address, port)))
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
        // As servers usually do: only what says how to show text and times.
        let known = matches!(name, "LANG" | "TERM" | "COLORTERM" | "TZ") || name.starts_with("LC_");
        let welcome = known && name.len() + value.len() <= VARIABLE_BYTES;
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
        if name != "sftp" {
            tracing::info!(subsystem = name, "ssh: this subsystem is not implemented");
            return session.channel_failure(channel);
        }
        let Some(Waiting { channel: files, place, .. }) = self.waiting.remove(&channel) else {
            return session.channel_failure(channel);
        };
        session.channel_success(channel)?;
        let handle = session.handle();
        tokio::spawn(async move {
            sftp::serve(files, handle).await;
            drop(place);
        });
        Ok(())
    }
}

/// A terminal's size; one that is out of range is unknown.
pub(crate) fn size(rows: u32, columns: u32) -> TerminalSize {
    match (u16::try_from(rows), u16::try_from(columns)) {
        (Ok(rows), Ok(columns)) => TerminalSize { rows, columns },
        _ => TerminalSize::default(),
    }
}
