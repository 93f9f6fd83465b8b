//! Who hears what.

use super::*;
use crate::time::SteppingClock;

fn events() -> Events {
    Events::new(SteppingClock::starting_at(1000))
}

fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn request(filters: &[(&str, &str)]) -> EventsRequest {
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in filters {
        map.entry((*key).to_owned()).or_default().push((*value).to_owned());
    }
    EventsRequest { since: Some(0), until: None, filters: map }
}

async fn first(events: &Events, filters: &[(&str, &str)]) -> Option<String> {
    let mut stream = events.subscribe(request(filters));
    let next = tokio::time::timeout(std::time::Duration::from_millis(50), stream.next()).await;
    next.ok().flatten().map(|event| event.action)
}

#[tokio::test]
async fn past_events_come_first_and_then_those_to_come() {
    let events = events();
    events.publish("container", "create", "abc", BTreeMap::new());
    let mut all = events.subscribe(request(&[]));
    let mut new_only = events.subscribe(EventsRequest::default());
    events.publish("container", "start", "abc", BTreeMap::new());
    assert_eq!(all.next().await.unwrap().action, "create");
    assert_eq!(all.next().await.unwrap().action, "start");
    assert_eq!(new_only.next().await.unwrap().action, "start");
}

#[tokio::test]
async fn only_the_last_256_are_remembered() {
    let events = events();
    for number in 0..300 {
        events.publish("container", format!("{number}"), "abc", BTreeMap::new());
    }
    assert_eq!(first(&events, &[]).await.as_deref(), Some("44"));
}

#[tokio::test]
async fn filters_choose_by_object_action_and_label() {
    let events = events();
    let named = attributes(&[("name", "web"), ("image", "busybox:1"), ("tier", "front")]);
    events.publish("container", "exec_create: sh", "abc", named);
    for fitting in [
        [("container", "web")],
        [("container", "ab")],
        [("event", "exec_create")],
        [("image", "busybox")],
        [("image", "busybox:1")],
        [("label", "tier=front")],
        [("type", "container")],
    ] {
        assert!(first(&events, &fitting).await.is_some(), "{fitting:?}");
    }
    for other in [[("container", "db")], [("event", "start")], [("label", "tier=back")]] {
        assert!(first(&events, &other).await.is_none(), "{other:?}");
    }
    assert!(first(&events, &[("colour", "red")]).await.is_some(), "nobody knows this filter");
}

#[tokio::test]
async fn the_stream_ends_at_until() {
    let events = events();
    events.publish("container", "create", "abc", BTreeMap::new());
    events.publish("container", "start", "abc", BTreeMap::new());
    events.publish("container", "die", "abc", BTreeMap::new());
    let request = EventsRequest { until: Some(1_001_000_000_000), ..request(&[]) };
    let all: Vec<_> = events.subscribe(request).collect().await;
    assert_eq!(all.len(), 2, "those until then, and no waiting");
}
