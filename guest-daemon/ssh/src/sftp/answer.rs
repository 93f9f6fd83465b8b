//! From a request to its answer.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Stat};
use rustix::io::Errno;

use super::attributes::{self, Wanted};
use super::extensions;
use super::files::{self, Handles, Opened, absolute};
use super::packet::{
    ATTRS, CLOSE, DATA, EXTENDED, EXTENDED_REPLY, FSETSTAT, FSTAT, Fields, HANDLE, INIT, LSTAT,
    MKDIR, NAME, OPEN, OPENDIR, Packets, READ, READDIR, READLINK, REALPATH, REMOVE, RENAME, RMDIR,
    SETSTAT, STAT, STATUS, SYMLINK, Short, VERSION, WRITE, complete,
};

/// Answers are sent when there are this many bytes of them.
const ANSWER_BYTES: usize = 256 * 1024;
/// Names in one answer.
const NAMES: usize = 128;
const PROTOCOL: u32 = 3;

const OK: u32 = 0;
const END: u32 = 1;
const NO_SUCH_FILE: u32 = 2;
const PERMISSION_DENIED: u32 = 3;
const FAILURE: u32 = 4;
const BAD_MESSAGE: u32 = 5;
const UNSUPPORTED: u32 = 8;

/// One client's files.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(super) handles: Handles,
}

/// What an answer says.
pub(super) enum Answer {
    Done,
    Handle(u32),
    Data(Vec<u8>),
    /// A path without its attributes.
    Path(Vec<u8>),
    Names(Vec<Name>),
    Attributes(Box<Stat>),
    Extended(Packets),
}

pub(super) struct Name {
    name: Vec<u8>,
    line: Vec<u8>,
    stat: Stat,
}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("end of file")]
    End,
    #[error("bad message")]
    BadMessage,
    #[error("operation unsupported")]
    Unsupported,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Short> for Refusal {
    fn from(_: Short) -> Self {
        Refusal::BadMessage
    }
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Refusal::Io(error.into())
    }
}

impl Server {
    /// Answers the requests that are complete and takes them away; tells whether some are left.
    pub(crate) fn answer(&mut self, requests: &mut Vec<u8>) -> io::Result<(Vec<u8>, bool)> {
        let mut answers = Packets::default();
        let mut done = 0;
        let mut more = false;
        loop {
            let rest = requests.get(done..).unwrap_or_default();
            let Some(length) = complete(rest).map_err(io::Error::other)? else { break };
            if answers.0.len() >= ANSWER_BYTES {
                more = true;
                break;
            }
            self.answer_one(rest.get(..length).unwrap_or_default(), &mut answers)?;
            done += length;
        }
        requests.drain(..done);
        Ok((answers.0, more))
    }

    fn answer_one(&mut self, packet: &[u8], answers: &mut Packets) -> io::Result<()> {
        let mut fields = Fields::of_packet(packet);
        let start = |_: Short| io::Error::other("a packet without a kind or a number");
        let kind = fields.byte().map_err(start)?;
        let id = fields.number().map_err(start)?;
        if kind == INIT {
            // What looks like the request's number is the client's version.
            answers.add(VERSION, PROTOCOL, extensions::announce);
            return Ok(());
        }
        match self.perform(kind, &mut fields) {
            Ok(answer) => answer.write(id, answers),
            Err(refusal) => refusal.write(id, answers),
        }
        Ok(())
    }

    fn perform(&mut self, kind: u8, fields: &mut Fields<'_>) -> Result<Answer, Refusal> {
        let mut path = || fields.path().map(|path| absolute(&path));
        match kind {
            OPEN => {
                let (path, how) = (path()?, fields.number()?);
                let file = files::open(&path, how, &Wanted::read(fields)?)?;
                return Ok(Answer::Handle(self.handles.add(Opened::File(file))?));
            }
            OPENDIR => {
                let directory = files::open_directory(&path()?)?;
                return Ok(Answer::Handle(self.handles.add(Opened::Directory(directory))?));
            }
            LSTAT => return Ok(Answer::Attributes(Box::new(files::stat(&path()?, false)?))),
            STAT => return Ok(Answer::Attributes(Box::new(files::stat(&path()?, true)?))),
            REALPATH => return Ok(Answer::path(&files::real(&path()?)?)),
            READLINK => return Ok(Answer::path(&std::fs::read_link(path()?)?)),
            SETSTAT => {
                let path = path()?;
                Wanted::read(fields)?.apply_to_path(&path, true)?;
            }
            REMOVE => files::remove_file(&path()?)?,
            RMDIR => std::fs::remove_dir(path()?)?,
            MKDIR => {
                let path = path()?;
                files::make_directory(&path, &Wanted::read(fields)?)?;
            }
            RENAME => files::rename_to_free_name(&path()?, &path()?)?,
            // OpenSSH has the two the other way round than the draft, and everybody follows.
            SYMLINK => {
                let target = fields.path()?;
                std::os::unix::fs::symlink(target, absolute(&fields.path()?))?;
            }
            EXTENDED => return extensions::perform(self, fields),
            _ => return self.perform_on_handle(kind, fields),
        }
        Ok(Answer::Done)
    }

    fn perform_on_handle(&mut self, kind: u8, fields: &mut Fields<'_>) -> Result<Answer, Refusal> {
        match kind {
            CLOSE => self.handles.close(fields.text()?)?,
            READ => {
                let file = self.handles.file(fields.text()?)?;
                let (offset, length) = (fields.long()?, fields.number()?);
                let bytes = files::read(file, offset, length)?;
                return if bytes.is_empty() { Err(Refusal::End) } else { Ok(Answer::Data(bytes)) };
            }
            WRITE => {
                let file = self.handles.file(fields.text()?)?;
                let offset = fields.long()?;
                file.write_all_at(fields.text()?, offset)?;
            }
            FSTAT => {
                let stat = rustix::fs::fstat(self.handles.descriptor(fields.text()?)?)?;
                return Ok(Answer::Attributes(Box::new(stat)));
            }
            FSETSTAT => {
                let handle = fields.text()?;
                let wanted = Wanted::read(fields)?;
                wanted.apply_to_open(self.handles.descriptor(handle)?)?;
            }
            READDIR => {
                let names = names(self.handles.directory(fields.text()?)?)?;
                return if names.is_empty() { Err(Refusal::End) } else { Ok(Answer::Names(names)) };
            }
            _ => return Err(Refusal::Unsupported),
        }
        Ok(Answer::Done)
    }
}

/// The next names; empty at the end.
fn names(directory: &mut Dir) -> io::Result<Vec<Name>> {
    let mut names = Vec::new();
    while names.len() < NAMES {
        let Some(entry) = directory.read() else { break };
        let entry = entry?;
        let name = entry.file_name();
        // What is gone by now is not told of.
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let Ok(stat) = rustix::fs::statat(directory.fd()?.as_fd(), name, flags) else { continue };
        names.push(Name {
            name: name.to_bytes().to_vec(),
            line: attributes::line(name, &stat),
            stat,
        });
    }
    Ok(names)
}

impl Answer {
    pub(super) fn path(path: &Path) -> Self {
        Answer::Path(path.as_os_str().as_bytes().to_vec())
    }

    fn write(&self, id: u32, answers: &mut Packets) {
        match self {
            Answer::Done => status(id, OK, "", answers),
            Answer::Handle(number) => {
                answers.add(HANDLE, id, |fields| fields.text(&number.to_be_bytes()));
            }
            Answer::Data(bytes) => answers.add(DATA, id, |fields| fields.text(bytes)),
            Answer::Path(path) => answers.add(NAME, id, |fields| {
                fields.number(1);
                fields.text(path);
                fields.text(path);
                // No attributes.
                fields.number(0);
            }),
            Answer::Names(names) => answers.add(NAME, id, |fields| {
                fields.number(u32::try_from(names.len()).unwrap_or_default());
                for Name { name, line, stat } in names {
                    fields.text(name);
                    fields.text(line);
                    attributes::write(stat, fields);
                }
            }),
            Answer::Attributes(stat) => {
                answers.add(ATTRS, id, |fields| attributes::write(stat, fields));
            }
            Answer::Extended(content) => {
                answers.add(EXTENDED_REPLY, id, |fields| fields.0.extend_from_slice(&content.0));
            }
        }
    }
}

impl Refusal {
    fn write(&self, id: u32, answers: &mut Packets) {
        let code = match self {
            Refusal::End => END,
            Refusal::BadMessage => BAD_MESSAGE,
            Refusal::Unsupported => UNSUPPORTED,
            Refusal::Io(error) => match Errno::from_io_error(error) {
                Some(Errno::NOENT | Errno::NOTDIR | Errno::BADF | Errno::LOOP) => NO_SUCH_FILE,
                Some(Errno::PERM | Errno::ACCESS | Errno::ROFS) => PERMISSION_DENIED,
                Some(Errno::NOSYS | Errno::OPNOTSUPP) => UNSUPPORTED,
                _ => FAILURE,
            },
        };
        status(id, code, &self.to_string(), answers);
    }
}

fn status(id: u32, code: u32, message: &str, answers: &mut Packets) {
    answers.add(STATUS, id, |fields| {
        fields.number(code);
        fields.text(message.as_bytes());
        fields.text(b"en");
    });
}
