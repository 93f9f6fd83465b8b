//! The protocol, with a guest that only remembers what was done to it.

use std::sync::{Arc, Mutex};

use super::*;
use crate::system::Ending;

#[derive(Clone, Default)]
struct Remembering {
    done: Arc<Mutex<Vec<String>>>,
}

impl Remembering {
    fn note(&self, what: impl Into<String>) {
        self.done.lock().unwrap().push(what.into());
    }
}

impl System for Remembering {
    fn time(&self) -> i64 {
        1_234_567_890
    }

    fn set_time(&self, unix_nanos: i64) -> io::Result<()> {
        self.note(format!("time {unix_nanos}"));
        Ok(())
    }

    fn freeze(&self) -> io::Result<()> {
        self.note("freeze");
        Ok(())
    }

    fn thaw(&self) -> io::Result<()> {
        self.note("thaw");
        Ok(())
    }

    async fn end(&self, ending: Ending) -> io::Result<()> {
        self.note(format!("{ending:?}"));
        Ok(())
    }
}

/// Everything the agent answers to a text.
async fn conversation(system: &Remembering, text: &[u8]) -> String {
    let mut agent = Agent::new(system.clone());
    let mut framing = Framing::default();
    let mut answers = Vec::new();
    for frame in framing.push(text) {
        answers.extend(answer(&mut agent, frame).await.unwrap_or_default());
    }
    answers.iter().map(|byte| char::from(*byte)).collect()
}

async fn said(text: &str) -> String {
    conversation(&Remembering::default(), text.as_bytes()).await
}

#[tokio::test]
async fn a_sync_returns_the_number_it_was_given() {
    assert_eq!(
        said(r#"{"execute":"guest-sync","arguments":{"id":42},"id":"x"}"#).await,
        "{\"id\":\"x\",\"return\":42}\n"
    );
    assert_eq!(
        said(r#"{"execute":"guest-sync-delimited","arguments":{"id":7}}"#).await,
        "\u{ff}{\"return\":7}\n"
    );
}

#[tokio::test]
async fn a_delimited_sync_is_answered_whatever_an_earlier_host_left_behind() {
    let text =
        b"{\"execute\":\"gu\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":7}}\n";
    let answer = conversation(&Remembering::default(), text).await;
    assert_eq!(answer, "\u{ff}{\"return\":7}\n");
}

#[tokio::test]
async fn an_unknown_command_is_an_error_and_the_next_one_is_served() {
    assert_eq!(
        said("{\"execute\":\"guest-exec\"}\n{\"execute\":\"guest-ping\"}\n").await,
        "{\"error\":{\"class\":\"CommandNotFound\",\
         \"desc\":\"The command guest-exec has not been found\"}}\n{\"return\":{}}\n"
    );
}

#[tokio::test]
async fn nonsense_is_an_error() {
    assert!(said("nonsense\n").await.contains("the request is not JSON"));
    assert!(said("[1]\n").await.contains("CommandNotFound"));
    assert!(said("{\"execute\":\"guest-sync\"}\n").await.contains("Parameter 'id' is missing"));
}

#[tokio::test]
async fn the_clock_is_read_and_set() {
    let system = Remembering::default();
    let text = br#"{"execute":"guest-get-time"}
        {"execute":"guest-set-time","arguments":{"time":5}}
        {"execute":"guest-set-time","arguments":{"time":-5}}"#;
    let answers = conversation(&system, text).await;
    assert!(answers.starts_with("{\"return\":1234567890}\n{\"return\":{}}\n{\"error\""));
    assert_eq!(*system.done.lock().unwrap(), ["time 5"]);
}

#[tokio::test]
async fn a_shut_down_is_done_and_not_answered() {
    let system = Remembering::default();
    for mode in ["powerdown", "halt", "reboot"] {
        let request =
            json!({ "execute": "guest-shutdown", "arguments": { "mode": mode } }).to_string();
        assert_eq!(conversation(&system, request.as_bytes()).await, "");
    }
    assert_eq!(*system.done.lock().unwrap(), ["PowerOff", "PowerOff", "Reboot"]);
}

#[tokio::test]
async fn freezing_twice_freezes_once() {
    let system = Remembering::default();
    let text = br#"{"execute":"guest-fsfreeze-freeze"}{"execute":"guest-fsfreeze-freeze"}
        {"execute":"guest-fsfreeze-status"}{"execute":"guest-fsfreeze-thaw"}
        {"execute":"guest-fsfreeze-status"}"#;
    let answers = conversation(&system, text).await;
    assert_eq!(
        answers,
        "{\"return\":1}\n{\"return\":1}\n{\"return\":\"frozen\"}\n{\"return\":1}\n\
         {\"return\":\"thawed\"}\n"
    );
    assert_eq!(*system.done.lock().unwrap(), ["freeze", "thaw"]);
}

#[tokio::test]
async fn every_command_that_is_announced_exists() {
    let info: Value = serde_json::from_str(&said("{\"execute\":\"guest-info\"}").await).unwrap();
    for command in info["return"]["supported_commands"].as_array().unwrap() {
        let request = json!({ "execute": command["name"] }).to_string();
        assert!(!said(&request).await.contains("CommandNotFound"), "{request}");
    }
}
