//! Several certificates in one text, all of which are trusted.

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// More are not taken from one text; nobody has as many CAs.
const MOST: usize = 16;

/// Each certificate by itself, without what stands between them.
pub fn split(pem: &str) -> Vec<String> {
    let mut certificates = Vec::new();
    let mut rest = pem;
    while certificates.len() < MOST
        && let Some(begin) = rest.find(BEGIN)
        && let Some(length) = rest[begin..].find(END)
    {
        let end = begin + length + END.len();
        certificates.push(format!("{}\n", rest[begin..end].replace('\r', "")));
        rest = &rest[end..];
    }
    certificates
}

/// All of them in one text, each once, in the order in which they come.
pub fn join<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for certificate in texts.into_iter().flat_map(split) {
        if !seen.contains(&certificate) {
            seen.push(certificate);
        }
    }
    seen.concat()
}
