//! `POST /auth`: tries a name and password at a registry.

use engine_api::registry::{AuthConfig, AuthenticateOk};

use crate::error::HttpError;
use crate::extract::{Call, credentials};
use crate::reply::{self, Reply};

pub(crate) async fn log_in(mut call: Call) -> Result<Reply, HttpError> {
    let config: AuthConfig = call.json().await?;
    let server = config.serveraddress.clone();
    let identity_token = call.engine().images.log_in(&server, &credentials(config)).await?;
    Ok(reply::ok(&AuthenticateOk { identity_token, status: "Login Succeeded".to_owned() }))
}
