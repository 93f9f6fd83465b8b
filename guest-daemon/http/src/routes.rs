//! THE table: method, path, handler, effect. Then what answers that it is not there yet.

use futures::future::BoxFuture;
use http::Method;

use crate::error::HttpError;
use crate::extract::{Call, percent_decode};
use crate::reply::Reply;
use crate::rights::Effect;
use crate::{build, containers, exec, images, networks, pattern, system, volumes};

pub(crate) type Handler = fn(Call) -> BoxFuture<'static, Result<Reply, HttpError>>;

/// A route that was found, and the name in its path.
pub(crate) struct Target {
    pub(crate) handler: Handler,
    pub(crate) effect: Effect,
    pub(crate) name: String,
}

struct Route {
    method: Method,
    pattern: &'static str,
    handler: Handler,
    effect: Effect,
}

/// Each row is one route. A route changes something unless it says `looks`.
macro_rules! routes {
    ($($method:ident $pattern:literal => $handler:path $(, $effect:ident)?;)*) => {
        &[$(Route {
            method: Method::$method,
            pattern: $pattern,
            handler: |call| Box::pin($handler(call)),
            effect: routes!(@effect $($effect)?),
        }),*]
    };
    (@effect) => { Effect::Changes };
    (@effect looks) => { Effect::Looks };
}

static ROUTES: &[Route] = routes! {
    GET    "/_ping"                      => system::ping::get, looks;
    HEAD   "/_ping"                      => system::ping::head, looks;
    GET    "/version"                    => system::version::version, looks;
    GET    "/info"                       => system::info::info, looks;
    GET    "/events"                     => system::events::events, looks;
    GET    "/system/df"                  => system::df::df, looks;
    POST   "/auth"                       => system::auth::log_in;
    GET    "/distribution/{name..}/json" => images::distribution::distribution, looks;
    GET    "/plugins"                    => system::plugins::list, looks;
    GET    "/plugins/{name..}/json"      => system::plugins::inspect, looks;

    GET    "/containers/json"            => containers::list::list, looks;
    POST   "/containers/create"          => containers::create::create;
    POST   "/containers/prune"           => containers::prune::prune;
    GET    "/containers/{name}/json"     => containers::inspect::inspect, looks;
    GET    "/containers/{name}/top"      => containers::top::top, looks;
    GET    "/containers/{name}/stats"    => containers::stats::stats, looks;
    GET    "/containers/{name}/logs"     => containers::logs::logs, looks;
    GET    "/containers/{name}/changes"  => containers::changes::changes, looks;
    GET    "/containers/{name}/export"   => containers::export::export, looks;
    HEAD   "/containers/{name}/archive"  => containers::archive::head, looks;
    GET    "/containers/{name}/archive"  => containers::archive::get, looks;
    PUT    "/containers/{name}/archive"  => containers::archive::put;
    POST   "/containers/{name}/start"    => containers::start::start;
    POST   "/containers/{name}/stop"     => containers::stop::stop;
    POST   "/containers/{name}/restart"  => containers::restart::restart;
    POST   "/containers/{name}/kill"     => containers::kill::kill;
    POST   "/containers/{name}/rename"   => containers::rename::rename;
    POST   "/containers/{name}/update"   => containers::update::update;
    POST   "/containers/{name}/pause"    => containers::pause::pause;
    POST   "/containers/{name}/unpause"  => containers::unpause::unpause;
    POST   "/containers/{name}/attach"   => containers::attach::attach;
    GET    "/containers/{name}/attach/ws" => containers::attach_ws::attach;
    POST   "/containers/{name}/wait"     => containers::wait::wait, looks;
    POST   "/containers/{name}/resize"   => containers::resize::resize;
    POST   "/containers/{name}/exec"     => exec::create::create;
    DELETE "/containers/{name..}"        => containers::remove::remove;

    POST   "/commit"                     => containers::commit::commit;
    POST   "/build/prune"                => build::prune::prune;

    POST   "/exec/{name}/start"          => exec::start::start;
    POST   "/exec/{name}/resize"         => exec::resize::resize;
    GET    "/exec/{name}/json"           => exec::inspect::inspect, looks;

    GET    "/images/json"                => images::list::list, looks;
    GET    "/images/search"              => images::search::search, looks;
    GET    "/images/get"                 => images::save::save_several, looks;
    POST   "/images/load"                => images::load::load;
    POST   "/images/prune"               => images::prune::prune;
    POST   "/images/create"              => images::import::import;
    GET    "/images/{name..}/json"       => images::inspect::inspect, looks;
    GET    "/images/{name..}/history"    => images::history::history, looks;
    GET    "/images/{name..}/get"        => images::save::save, looks;
    POST   "/images/{name..}/push"       => images::push::push;
    POST   "/images/{name..}/tag"        => images::tag::tag;
    DELETE "/images/{name..}"            => images::remove::remove;

    GET    "/networks"                   => networks::list::list, looks;
    POST   "/networks/prune"             => networks::prune::prune;
    GET    "/networks/{name}"            => networks::inspect::inspect, looks;

    GET    "/volumes"                    => volumes::list::list, looks;
    POST   "/volumes/create"             => volumes::create::create;
    POST   "/volumes/prune"              => volumes::prune::prune;
    GET    "/volumes/{name}"             => volumes::inspect::inspect, looks;
    DELETE "/volumes/{name}"             => volumes::remove::remove;
};

/// Known to clients, answered with 501 and these words.
static UNBUILT: &[(Method, &str, &str)] = &[
    (Method::POST, "/session", "building with BuildKit"),
    (Method::POST, "/grpc", "building with BuildKit"),
    (Method::POST, "/build", "building images"),
    (Method::POST, "/build/cancel", "cancelling builds"),
    (Method::GET, "/containers/{name}/checkpoints", "checkpointing containers"),
    (Method::POST, "/containers/{name}/checkpoints", "checkpointing containers"),
    (Method::GET, "/images/{name..}/attestations", "reading attestations"),
    (Method::POST, "/networks/create", "creating networks"),
    (Method::POST, "/networks/{name}/connect", "connecting containers to networks"),
    (Method::POST, "/networks/{name}/disconnect", "disconnecting containers from networks"),
    (Method::DELETE, "/networks/{name}", "removing networks"),
    (Method::GET, "/plugins/{name..}", "managing plugins"),
    (Method::POST, "/plugins/{name..}", "managing plugins"),
    (Method::DELETE, "/plugins/{name..}", "managing plugins"),
    (Method::POST, "/swarm/init", "initialising a swarm"),
    (Method::POST, "/swarm/join", "joining a swarm"),
];

/// Whatever is below these needs a swarm.
static SWARM: &[&str] = &["/swarm", "/nodes", "/services", "/tasks", "/secrets", "/configs"];

/// The route for a path without its version. The first row that fits is taken.
pub(crate) fn find(method: &Method, path: &str) -> Result<Target, HttpError> {
    let path = percent_decode(path)
        .ok_or_else(|| HttpError::invalid(format!("invalid URL escape in {path}")))?;
    for route in ROUTES {
        if route.method == *method
            && let Some(name) = pattern::matches(route.pattern, &path)
        {
            return Ok(Target { handler: route.handler, effect: route.effect, name });
        }
    }
    for (unbuilt, pattern, what) in UNBUILT {
        if unbuilt == method && pattern::matches(pattern, &path).is_some() {
            return Err(HttpError::unbuilt(what));
        }
    }
    let cluster_volume = *method == Method::PUT && path.starts_with("/volumes/");
    let in_swarm = |root: &&str| {
        path.strip_prefix(*root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if cluster_volume || SWARM.iter().any(in_swarm) {
        return Err(HttpError::no_swarm());
    }
    Err(HttpError::not_found("page not found"))
}

#[cfg(test)]
mod tests;
