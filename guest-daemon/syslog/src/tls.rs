//! TLS to a syslog daemon.

use std::path::Path;
use std::sync::Arc;

use engine::error::{Error, Kind, Result};
use engine::ports::SyslogTls;
use engine_tls::{Authorities, Chain, Trust};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{PATIENCE, file};

pub(crate) async fn wrap(
    stream: TcpStream,
    place: &str,
    options: &SyslogTls,
) -> Result<TlsStream<TcpStream>> {
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|error| {
        Error::caused(Kind::InvalidArgument, format!("{place} is no host"), error)
    })?;
    let connector = TlsConnector::from(Arc::new(config(options)?));
    let failed = |reason: String| Error::new(Kind::Unavailable, format!("tls: {place}: {reason}"));
    match tokio::time::timeout(PATIENCE, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("i/o timeout".to_owned())),
    }
}

fn config(options: &SyslogTls) -> Result<ClientConfig> {
    let trust = match options.unverified {
        true => Trust::Anybody,
        false => Trust::Authorities(authorities(&options.ca)?),
    };
    let identity = match options.certificate.as_os_str().is_empty() {
        true => None,
        false => {
            let key = engine_tls::key(&file(&options.key)?)
                .map_err(|error| not_usable(&options.key, error))?;
            Some((certificates(&options.certificate)?, key))
        }
    };
    engine_tls::client(trust, identity).map_err(|error| not_usable(&options.certificate, error))
}

fn authorities(ca: &Path) -> Result<Authorities> {
    if ca.as_os_str().is_empty() {
        return Ok(Authorities::usual());
    }
    let mut authorities = Authorities::none();
    for certificate in certificates(ca)? {
        // Of several in a file some may be of a kind that is not known.
        drop(authorities.add(certificate));
    }
    Ok(authorities)
}

fn certificates(path: &Path) -> Result<Chain> {
    engine_tls::certificates(&file(path)?).map_err(|error| not_usable(path, error))
}

fn not_usable(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidArgument, format!("{} cannot be used: {error}", path.display()))
}
