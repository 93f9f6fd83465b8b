//! The guest agent's loop: one request, one answer.

use std::io;

use serde_json::{Value, json};

use crate::commands::{Agent, Failure, Outcome};
use crate::framing::{Frame, Framing};
use crate::port::{Port, PortEvent};
use crate::system::System;

/// Says that what follows answers the request the host has just sent, not one of an earlier host.
const DELIMITER: u8 = 0xFF;

/// Serves the port until it is gone.
pub async fn serve(port: Port, system: impl System) -> io::Result<()> {
    let (writer, mut events) = port.start();
    let mut agent = Agent::new(system);
    let mut framing = Framing::default();
    while let Some(event) = events.recv().await {
        match event {
            PortEvent::Connected => framing = Framing::default(),
            PortEvent::Bytes(bytes) => {
                for frame in framing.push(&bytes) {
                    if let Some(answer) = answer(&mut agent, frame).await {
                        writer.write(answer).await?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// The bytes of an answer, if there is one.
async fn answer(agent: &mut Agent<impl System>, frame: Frame) -> Option<Vec<u8>> {
    let request = match frame {
        Frame::Request(request) => request,
        Frame::Garbage(why) => return Some(line(failure(&Failure::generic(why)), None)),
    };
    let id = request.get("id").cloned();
    let name = request.get("execute").and_then(Value::as_str).unwrap_or_default().to_owned();
    let arguments = request.get("arguments").cloned().unwrap_or_else(|| json!({}));
    tracing::debug!(command = name, "guest agent");
    match agent.run(&name, &arguments).await {
        Ok(Outcome::Silence) => None,
        Ok(Outcome::Value(value)) => Some(line(json!({ "return": value }), id)),
        Ok(Outcome::Delimited(value)) => {
            let mut bytes = vec![DELIMITER];
            bytes.extend(line(json!({ "return": value }), id));
            Some(bytes)
        }
        Err(error) => Some(line(failure(&error), id)),
    }
}

fn failure(failure: &Failure) -> Value {
    json!({ "error": { "class": failure.class, "desc": failure.description } })
}

fn line(mut answer: Value, id: Option<Value>) -> Vec<u8> {
    if let Some(id) = id {
        answer["id"] = id;
    }
    let mut bytes = answer.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests;
