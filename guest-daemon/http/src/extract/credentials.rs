//! Who the user is at a registry: the header `X-Registry-Auth`.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use engine::ports::Credentials;
use engine_api::registry::AuthConfig;
use http::HeaderMap;

const HEADER: &str = "X-Registry-Auth";

/// With or without padding: clients differ.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What cannot be understood is nobody, as dockerd does it.
pub(super) fn from_headers(headers: &HeaderMap) -> Credentials {
    let config = headers.get(HEADER).and_then(|value| {
        let json = BASE64.decode(value.as_bytes()).ok()?;
        serde_json::from_slice::<AuthConfig>(&json).ok()
    });
    credentials(config.unwrap_or_default())
}

pub(crate) fn credentials(config: AuthConfig) -> Credentials {
    Credentials {
        username: config.username,
        password: config.password,
        identity_token: config.identitytoken,
        registry_token: config.registrytoken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str) -> Credentials {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, value.parse().unwrap());
        from_headers(&headers)
    }

    #[test]
    fn the_header_is_read_in_every_form_clients_send() {
        let json = r#"{"username":"joe?","password":"secret>","serveraddress":"x"}"#;
        for encoded in [
            base64::engine::general_purpose::URL_SAFE.encode(json),
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json),
        ] {
            let credentials = of(&encoded);
            assert_eq!((&*credentials.username, &*credentials.password), ("joe?", "secret>"));
        }
        for nobody in ["e30=", "e30", "", "null", "!", "bnVsbA=="] {
            assert_eq!(of(nobody), Credentials::default(), "{nobody}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let credentials =
            credentials(AuthConfig { password: "secret".into(), ..Default::default() });
        assert!(!format!("{credentials:?}").contains("secret"));
    }
}
