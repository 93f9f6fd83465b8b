use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{Event, Qmp, QmpError, RunState, Transport, parse_forwards};

const GREETING: &str = r#"{"QMP":{"version":{"qemu":{"micro":0,"minor":2,"major":7},"package":""},"capabilities":["oob"]}}"#;

/// Plays QEMU: greets, then answers each line with what the closure makes of it.
fn qemu(mut answer: impl FnMut(&serde_json::Value) -> String + Send + 'static) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().unwrap();
    tokio::spawn(async move {
        let (read, mut write) = theirs.into_split();
        write.write_all(format!("{GREETING}\r\n").as_bytes()).await.unwrap();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let command: serde_json::Value = serde_json::from_str(&line).unwrap();
            let text = answer(&command);
            if write.write_all(text.as_bytes()).await.is_err() || text.is_empty() {
                break;
            }
        }
    });
    ours
}

fn done(command: &serde_json::Value) -> String {
    format!("{{\"return\":{{}},\"id\":{}}}\r\n", command["id"])
}

#[tokio::test]
async fn an_unknown_event_does_not_end_the_connection() {
    let stream = qemu(|command| match command["execute"].as_str() {
        Some("query-status") => format!(
            "{{\"event\":\"FROM_THE_FUTURE\",\"data\":{{\"x\":[1]}}}}\r\n\
             {{\"return\":{{\"status\":\"internal-error\",\"running\":false}},\"id\":{}}}\r\n",
            command["id"]
        ),
        _ => done(command),
    });
    let (qmp, mut events) = Qmp::open(stream).await.unwrap();
    assert_eq!(qmp.status().await.unwrap(), RunState::internal_error);
    assert_eq!(events.recv().await, Some(Event::Other("FROM_THE_FUTURE".to_owned())));
}

#[tokio::test]
async fn a_refusal_is_told_in_qemus_words() {
    let stream = qemu(|command| match command["execute"].as_str() {
        Some("qmp_capabilities") => done(command),
        _ => format!(
            "{{\"error\":{{\"class\":\"GenericError\",\"desc\":\"not now\"}},\"id\":{}}}\r\n",
            command["id"]
        ),
    });
    let (qmp, _events) = Qmp::open(stream).await.unwrap();
    assert_eq!(qmp.resume().await.unwrap_err().to_string(), "not now");
}

#[tokio::test]
async fn the_text_of_a_human_command_decides_whether_it_worked() {
    let stream = qemu(|command| match command["arguments"]["command-line"].as_str() {
        Some("hostfwd_add net0 tcp:127.0.0.1:80-:80") => {
            format!("{{\"return\":\"Could not set up\\r\\n\",\"id\":{}}}\r\n", command["id"])
        }
        Some("hostfwd_remove net0 udp:127.0.0.1:53") => {
            format!("{{\"return\":\"rule for x removed\\r\\n\",\"id\":{}}}\r\n", command["id"])
        }
        Some(_) => format!("{{\"return\":\"\",\"id\":{}}}\r\n", command["id"]),
        None => done(command),
    });
    let (qmp, _events) = Qmp::open(stream).await.unwrap();
    qmp.add_forward(Transport::Tcp, 8080, 80).await.unwrap();
    let refused = qmp.add_forward(Transport::Tcp, 80, 80).await.unwrap_err();
    assert!(matches!(refused, QmpError::Refused(text) if text == "Could not set up"));
    qmp.remove_forward(Transport::Udp, 53).await.unwrap();
}

#[tokio::test]
async fn everybody_who_waits_is_told_when_qemu_is_gone() {
    let stream = qemu(|command| match command["execute"].as_str() {
        Some("qmp_capabilities") => done(command),
        _ => String::new(),
    });
    let (qmp, mut events) = Qmp::open(stream).await.unwrap();
    assert!(matches!(qmp.status().await, Err(QmpError::Closed)));
    assert_eq!(events.recv().await, None);
    assert!(matches!(qmp.status().await, Err(QmpError::Closed)));
    qmp.quit().await.unwrap();
}

#[test]
fn the_forward_table_is_read() {
    let table = "Hub -1 (net0):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  \
                 Port RecvQ SendQ\r\n  TCP[HOST_FORWARD]  13       127.0.0.1 23999       \
                 10.0.2.15    80     0     0\r\n  TCP[ESTABLISHED]  15 127.0.0.1 1 10.0.2.15 2 0 0\r\n  \
                 UDP[HOST_FORWARD]  14       127.0.0.1 5353       10.0.2.15    53     0     0\r\n";
    assert_eq!(
        parse_forwards(table),
        vec![(Transport::Tcp, 23999, 80), (Transport::Udp, 5353, 53)]
    );
}
