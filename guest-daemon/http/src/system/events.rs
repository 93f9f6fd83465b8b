//! `GET /events`: one JSON object a line, in the old and the new form at once.

use engine::events::{Event, EventsRequest};
use engine_api::event as api;
use futures::StreamExt;

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};
use crate::{times, versions};

pub(crate) async fn events(call: Call) -> Result<Reply, HttpError> {
    let (engine, version) = (call.engine(), call.version);
    let now = engine.system.now();
    let (since, until) = (call.query.time("since", now)?, call.query.time("until", now)?);
    if until.is_some_and(|until| since.is_some_and(|since| until < since)) {
        let (since, until) = (call.query.text("since"), call.query.text("until"));
        return Err(HttpError::invalid(format!(
            "`since` time ({since}) cannot be after `until` time ({until})"
        )));
    }
    let request = EventsRequest { since, until, filters: call.filters()? };
    let events = engine.events.subscribe(request);
    let lines = events.filter_map(move |event| {
        let known = versions::knows_event(version, &event.kind, &event.action);
        std::future::ready(known.then(|| reply::json_line(&to_api(event))))
    });
    Ok(reply::stream(reply::JSON, lines))
}

fn to_api(event: Event) -> api::Event {
    let is_container = event.kind == "container";
    let has_old_form = is_container || event.kind == "image";
    let image = event.attributes.get("image").filter(|_| is_container);
    api::Event {
        status: if has_old_form { event.action.clone() } else { String::new() },
        id: if has_old_form { event.actor.clone() } else { String::new() },
        from: image.cloned().unwrap_or_default(),
        kind: event.kind,
        action: event.action,
        actor: api::Actor { id: event.actor, attributes: event.attributes },
        scope: "local".to_owned(),
        time: times::unix_seconds(event.unix_nanos),
        time_nano: i64::try_from(event.unix_nanos).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_event_has_both_forms() {
        let event = Event {
            kind: "container".to_owned(),
            action: "start".to_owned(),
            actor: "abc".to_owned(),
            attributes: BTreeMap::from([("image".to_owned(), "busybox".to_owned())]),
            unix_nanos: 1_700_000_000_000_000_007,
        };
        assert_eq!(
            serde_json::to_value(to_api(event)).unwrap(),
            json!({
                "status": "start", "id": "abc", "from": "busybox",
                "Type": "container", "Action": "start",
                "Actor": { "ID": "abc", "Attributes": { "image": "busybox" } },
                "scope": "local", "time": 1_700_000_000, "timeNano": 1_700_000_000_000_000_007_i64,
            })
        );
    }

    #[test]
    fn a_volume_event_has_the_new_form_only() {
        let event = Event {
            kind: "volume".to_owned(),
            action: "mount".to_owned(),
            actor: "v1".to_owned(),
            attributes: BTreeMap::new(),
            unix_nanos: 0,
        };
        let event = serde_json::to_value(to_api(event)).unwrap();
        assert_eq!(event.get("status"), None);
        assert_eq!(event.get("id"), None);
        assert_eq!(event["Actor"]["ID"], "v1");
    }
}
