//! How a registry proves that it is one: by a CA everybody knows, by one that lies in
//! `certs.d/HOST[:PORT]/`, or not at all where it may be insecure.

use std::io::Read;
use std::path::{Path, PathBuf};

use engine::Error;
use engine_tls::{Authorities, Chain, Trust};
use rustls::ClientConfig;
use rustls_pki_types::PrivateKeyDer;

const LARGEST_FILE: u64 = 1 << 20;

type Identity = (Chain, PrivateKeyDer<'static>);

pub(crate) fn client_config(
    folder: &Path,
    host: &str,
    insecure: bool,
) -> Result<ClientConfig, Error> {
    let (trust, identity) = if insecure {
        (Trust::Anybody, None)
    } else {
        let mut authorities = Authorities::usual();
        let identity = read_folder(&folder.join(host), &mut authorities)?;
        (Trust::Authorities(authorities), identity)
    };
    engine_tls::client(trust, identity)
        .map_err(|error| Error::invalid(format!("the client certificate for {host}: {error}")))
}

/// Adds the CAs (`*.crt`) and returns the client's certificate (`*.cert` with its `*.key`).
fn read_folder(folder: &Path, authorities: &mut Authorities) -> Result<Option<Identity>, Error> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(None) };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut identity = None;
    for file in &files {
        let with = |extension: &str| file.with_extension(extension);
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => {
                for certificate in chain(file)? {
                    authorities.add(certificate).map_err(|error| unreadable(file, &error))?;
                }
            }
            Some("cert") if !files.contains(&with("key")) => {
                return Err(Error::invalid(format!(
                    "missing key {} for client certificate {}. CA certificates must use the \
                     extension .crt",
                    name(&with("key")),
                    name(file)
                )));
            }
            Some("key") if !files.contains(&with("cert")) => {
                return Err(Error::invalid(format!(
                    "missing client certificate {} for key {}",
                    name(&with("cert")),
                    name(file)
                )));
            }
            Some("cert") => {
                let key = engine_tls::key(&read(&with("key"))?)
                    .map_err(|error| unreadable(&with("key"), &error))?;
                identity = Some((chain(file)?, key));
            }
            _ => {}
        }
    }
    Ok(identity)
}

fn chain(file: &Path) -> Result<Chain, Error> {
    engine_tls::certificates(&read(file)?).map_err(|error| unreadable(file, &error))
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    let mut content = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(LARGEST_FILE).read_to_end(&mut content))
        .map_err(|error| unreadable(file, &error))?;
    Ok(content)
}

fn unreadable(file: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::invalid(format!("cannot use {}: {error}", file.display()))
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
