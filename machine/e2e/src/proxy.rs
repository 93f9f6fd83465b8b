//! A place in front of a registry, or instead of one, that answers as badly as a test says. Nothing
//! in it depends on time: who is held is held until the test lets go.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};

use crate::wait::eventually;

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// With the query.
    pub path: String,
    /// The header `Range`, or nothing.
    pub range: String,
}

impl Asked {
    /// A blob that is fetched.
    pub fn is_blob(&self) -> bool {
        self.method == "GET" && self.path.contains("/blobs/")
    }

    /// A manifest that is fetched or looked for.
    pub fn is_manifest(&self) -> bool {
        matches!(&*self.method, "GET" | "HEAD") && self.path.contains("/manifests/")
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// What the registry behind says.
    Pass,
    /// The same, but the connection ends after so many bytes of the answer.
    Cut(usize),
    /// The same, but silent after so many bytes of the answer until [`Proxy::release`].
    Hold(usize),
    /// The registry gets so many bytes of what is sent to it, and the rest after
    /// [`Proxy::release`].
    HoldRequest(usize),
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
}

impl Reply {
    /// No, with a body that is no document.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A body of this media type.
    pub fn content(kind: &str, body: &[u8]) -> Self {
        let headers = vec![("Content-Type", kind.to_owned())];
        Self::Answer { status: 200, headers, body: body.to_vec() }
    }
}

type Rule = Box<dyn Fn(&Asked) -> Reply + Send + Sync>;

struct State {
    /// `HOST:PORT` of the registry behind.
    behind: Option<String>,
    rule: Rule,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    asked: Vec<Asked>,
    held: usize,
    released: bool,
}

/// Lets everybody go when dropped.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

impl Proxy {
    /// In front of this registry.
    pub fn before(
        registry: &str,
        rule: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::start(Some(registry.to_owned()), Box::new(rule))
    }

    /// One that has nothing but these: a media type and a body by path.
    pub fn of(shelf: BTreeMap<String, (String, Vec<u8>)>) -> Result<Self> {
        let rule = move |asked: &Asked| match shelf.get(&asked.path) {
            Some((kind, body)) => Reply::content(kind, body),
            None if asked.path == "/v2/" => Reply::content("application/json", b"{}"),
            None => Reply::status(404),
        };
        Self::start(None, Box::new(rule))
    }

    fn start(behind: Option<String>, rule: Rule) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let state =
            Arc::new(State { behind, rule, progress: Mutex::default(), changed: Condvar::new() });
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&serving);
                // A connection that breaks is what this is for.
                std::thread::spawn(move || drop(state.serve(&client)));
            }
        });
        Ok(Self { port, state })
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.progress().asked.clone()
    }

    /// Waits until somebody is held.
    pub fn holds(&self) -> Result<()> {
        eventually("a request is held", || Ok(self.state.progress().held > 0))
    }

    /// Lets everybody go on who is held, and holds nobody any more.
    pub fn release(&self) {
        self.state.progress().released = true;
        self.state.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.release();
    }
}

impl State {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request; the connection ends with it.
    fn serve(&self, client: &TcpStream) -> Result<()> {
        let mut from_client = BufReader::new(client.try_clone()?);
        // Whoever begins with TLS is told nothing, and tries without.
        if from_client.fill_buf()?.first() == Some(&0x16) {
            return Ok(());
        }
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            from_client.read_line(&mut line)?;
            if line.trim().is_empty() {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let asked = asked(&head)?;
        let reply = (self.rule)(&asked);
        let whole = asked.method != "HEAD";
        self.progress().asked.push(asked);
        let (before, after) = match reply {
            Reply::Answer { status, headers, body } => {
                answer(client, status, &headers, if whole { &body } else { &[] })?;
                // With something unread, closing would throw away what was answered.
                client.shutdown(Shutdown::Write)?;
                std::io::copy(&mut from_client, &mut std::io::sink())?;
                return Ok(());
            }
            Reply::Pass => (usize::MAX, usize::MAX),
            Reply::Cut(bytes) | Reply::Hold(bytes) => (usize::MAX, bytes),
            Reply::HoldRequest(bytes) => (bytes, usize::MAX),
        };
        let cut = matches!(reply, Reply::Cut(_));
        let behind = self.behind.as_deref().context("there is no registry behind")?;
        let server = TcpStream::connect(behind)?;
        send_head(&server, &head)?;
        std::thread::scope(|scope| {
            scope.spawn(|| drop(self.copy(from_client, &server, before, false)));
            let answered = self.copy(&server, client, after, cut);
            drop(client.shutdown(Shutdown::Both));
            drop(server.shutdown(Shutdown::Both));
            answered
        })
    }

    /// Copies to the end, with a stop after so many bytes: for ever, or until the release.
    fn copy(
        &self,
        mut from: impl Read,
        mut to: &TcpStream,
        mut left: usize,
        cut: bool,
    ) -> Result<()> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let most = buffer.len().min(left);
            let length = from.read(&mut buffer[..most])?;
            if length == 0 {
                return Ok(());
            }
            to.write_all(&buffer[..length])?;
            left -= length;
            if left == 0 {
                if cut {
                    return Ok(());
                }
                self.hold();
                left = usize::MAX;
            }
        }
    }

    fn hold(&self) {
        let mut progress = self.progress();
        progress.held += 1;
        while !progress.released {
            progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn asked(head: &[String]) -> Result<Asked> {
    let mut words = head.first().context("no request")?.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let range = head.iter().find_map(|line| {
        line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("range"))
    });
    let range = range.map_or("", |(_, value)| value.trim());
    Ok(Asked { method: method.to_owned(), path: path.to_owned(), range: range.to_owned() })
}

/// As it came, but for one answer only.
fn send_head(mut server: &TcpStream, head: &[String]) -> Result<()> {
    let kept = head.iter().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let lines: String = kept.map(|line| format!("{line}\r\n")).collect();
    Ok(write!(server, "{lines}Connection: close\r\n\r\n")?)
}

fn answer(
    mut client: &TcpStream,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> Result<()> {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    write!(
        client,
        "HTTP/1.1 {status} x\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    Ok(client.write_all(body)?)
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({})", self.port)
    }
}
