//! Which events a listener asked for.

use crate::events::Event;
use crate::filters::{self, Filters};
use crate::images::reference::Reference;

/// A filter that nobody knows is none, as with dockerd.
pub(super) fn fits(wanted: &Filters, event: &Event) -> bool {
    filters::any(wanted, "event", |action| action_fits(action, &event.action))
        && filters::any(wanted, "type", |kind| kind == event.kind)
        && filters::any(wanted, "scope", |scope| scope == "local")
        && filters::labels(wanted, "label", &event.attributes)
        && ["container", "network", "volume", "daemon"]
            .iter()
            .all(|kind| filters::any(wanted, kind, |name| object_fits(name, event)))
        && filters::any(wanted, "image", |name| image_fits(name, event))
        && ["config", "node", "plugin", "secret", "service"]
            .iter()
            .all(|kind| filters::any(wanted, kind, |_| false))
}

/// `exec_create: sh` is an `exec_create`.
fn action_fits(wanted: &str, action: &str) -> bool {
    action == wanted || action.split_once(':').is_some_and(|(head, _)| head == wanted)
}

/// The beginning of an id or of a name is enough; which kind of object it is does not matter.
fn object_fits(name: &str, event: &Event) -> bool {
    let named = event.attributes.get("name").map_or("", String::as_str);
    event.actor.starts_with(name) || named.starts_with(name)
}

/// An image's name, with its tag or without; also of the image that a container was made from.
fn image_fits(name: &str, event: &Event) -> bool {
    let key = if event.kind == "image" { "name" } else { "image" };
    let named = event.attributes.get(key).map_or("", String::as_str);
    [event.actor.as_str(), named].iter().any(|text| {
        *text == name
            || Reference::parse(text).is_ok_and(|found| found.familiar_repository() == name)
    })
}
