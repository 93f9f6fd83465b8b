//! `--tls-ca-cert` and `--tls-ca-key`: a CA of the user's own for all machines of a storage root.

use crate::error::CommandError;
use crate::{Context, TlsFiles};

/// Makes the CA that was named that of the storage root, if it is not yet. What cannot be used is
/// refused, so that nothing that somebody gave goes unnoticed.
pub(crate) fn apply(context: &Context) -> Result<(), CommandError> {
    let TlsFiles { ca_certificate, ca_key, client_certificate, client_key } = &context.tls;
    if client_certificate.is_some() || client_key.is_some() {
        return Err(CommandError::usage(
            "a client certificate of your own cannot be used: each machine issues its own",
        )
        .hint(
            "leave --tls-client-cert and --tls-client-key away, and their variables \
             MACHINE_TLS_CLIENT_CERT and MACHINE_TLS_CLIENT_KEY; `machine certs issue` issues more",
        ));
    }
    let (certificate, key) = match (ca_certificate, ca_key) {
        (None, None) => return Ok(()),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(_), None) | (None, Some(_)) => {
            return Err(CommandError::usage("a CA needs both its certificate and its key")
                .hint("give --tls-ca-cert and --tls-ca-key, or none of them"));
        }
    };
    let adopted = context.machines.adopt_authority(certificate, key).map_err(|error| {
        CommandError::failed(format!("the CA {} cannot be used", certificate.display()))
            .because(&error)
            .hint(
                "it must be a CA that is valid now, and its key a file in the form PKCS#8: \
                 openssl pkcs8 -topk8 -nocrypt -in KEY -out NEWKEY",
            )
    })?;
    if adopted {
        context.ui.note(
            "The CA was taken over. Machines get certificates of it when they are started or used \
             next.",
        );
    }
    Ok(())
}
