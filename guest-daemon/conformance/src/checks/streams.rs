//! Streams through bollard: attach, exec, logs, statistics, events, wait.

use std::collections::HashMap;
use std::pin::Pin;

use anyhow::{Context, Result, ensure};
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use bollard::query_parameters::{
    AttachContainerOptions, EventsOptionsBuilder, LogsOptionsBuilder, StatsOptionsBuilder,
};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http::Method;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::Check;
use super::life::Sleeper;
use crate::engine::Engine;

pub(super) const CHECKS: &[Check] = &[
    Check::new("attach_before_start_hears_every_byte", attach_first),
    Check::new("the_end_of_input_is_passed_on_and_output_goes_on", half_close),
    Check::new("input_stays_open_without_stdin_once", stdin_stays),
    Check::new("a_terminal_is_one_raw_stream", terminal),
    Check::new("attach_replays_the_log", replay),
    Check::new("attach_by_web_socket_goes_both_ways", web_socket),
    Check::new("exec_streams_both_ways", exec),
    Check::new("followed_logs_come_as_they_are_written", logs),
    Check::new("a_stream_of_statistics_goes_on_until_it_is_dropped", stats),
    Check::new("events_come_as_they_happen_and_are_filtered", events),
    Check::new("wait_knows_its_conditions", wait),
];

type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;
type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A created container; removed when dropped.
struct Created<'a>(&'a Engine, String);

impl<'a> Created<'a> {
    fn new(engine: &'a Engine, name: &str, flags: &[&str], script: &str) -> Result<Self> {
        let create = ["create", "--name", name];
        engine.text(&[&create, flags, &["busybox", "sh", "-c", script]].concat())?;
        Ok(Self(engine, name.to_owned()))
    }
}

impl Drop for Created<'_> {
    fn drop(&mut self) {
        drop(self.0.run(&["rm", "--force", "--volumes", &self.1]));
    }
}

fn everything(stdin: bool) -> AttachContainerOptions {
    AttachContainerOptions { stream: true, stdin, stdout: true, stderr: true, ..Default::default() }
}

async fn attach(
    docker: &Docker,
    name: &str,
    options: AttachContainerOptions,
) -> Result<(Output, Input)> {
    let attached = docker.attach_container(name, Some(options)).await?;
    Ok((attached.output, attached.input))
}

/// What comes until the end, by stream.
async fn collect(mut output: Output) -> Result<(String, String)> {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    while let Some(part) = output.try_next().await? {
        match part {
            LogOutput::StdErr { message } => stderr.push_str(&String::from_utf8_lossy(&message)),
            other => stdout.push_str(&other.to_string()),
        }
    }
    Ok((stdout, stderr))
}

fn attach_first(engine: &Engine) -> Result<()> {
    let made = Created::new(engine, "stream-first", &[], "echo out; echo err >&2; seq 10000")?;
    let docker = engine.bollard()?;
    engine.wait(async {
        let (output, _input) = attach(&docker, &made.1, everything(false)).await?;
        docker.start_container(&made.1, None).await?;
        let (stdout, stderr) = collect(output).await?;
        ensure!(
            stdout.starts_with("out\n1\n") && stdout.ends_with("\n10000\n") && stderr == "err\n"
        );
        ensure!(stdout.len() == 48_898, "{} bytes", stdout.len());
        Ok(())
    })
}

fn half_close(engine: &Engine) -> Result<()> {
    let script = "wc -c; echo after";
    let made = Created::new(engine, "stream-half", &["--interactive"], script)?;
    let docker = engine.bollard()?;
    engine.wait(async {
        let (output, mut input) = attach(&docker, &made.1, everything(true)).await?;
        docker.start_container(&made.1, None).await?;
        input.write_all(&vec![b'x'; 1_000_000]).await?;
        input.shutdown().await?;
        let (stdout, _) = collect(output).await?;
        ensure!(stdout == "1000000\nafter\n", "{stdout}");
        Ok(())
    })
}

fn stdin_stays(engine: &Engine) -> Result<()> {
    let name = "stream-stays";
    let body = serde_json::json!({"Image": "busybox", "OpenStdin": true, "StdinOnce": false,
        "Cmd": ["sh", "-c", "read a; echo got $a; read b; echo got $b"]});
    let path = format!("/containers/create?name={name}");
    let created = engine.request(Method::POST, &path, Some(&body))?;
    ensure!(created.status == 201, "{created:?}");
    let made = Created(engine, name.to_owned());
    let docker = engine.bollard()?;
    engine.wait(async {
        docker.start_container(&made.1, None).await?;
        let (mut output, mut input) = attach(&docker, &made.1, everything(true)).await?;
        input.write_all(b"one\n").await?;
        let said = output.try_next().await?.context("the stream ended")?;
        ensure!(said.to_string() == "got one\n", "{said:?}");
        drop((output, input));
        let (output, mut input) = attach(&docker, &made.1, everything(true)).await?;
        input.write_all(b"two\n").await?;
        let (stdout, _) = collect(output).await?;
        ensure!(stdout == "got two\n", "{stdout}");
        Ok(())
    })
}

fn terminal(engine: &Engine) -> Result<()> {
    let script = "read line; echo \"<$line>\"; tty; echo err >&2";
    let made = Created::new(engine, "stream-terminal", &["--interactive", "--tty"], script)?;
    let docker = engine.bollard()?;
    engine.wait(async {
        let (output, mut input) = attach(&docker, &made.1, everything(true)).await?;
        docker.start_container(&made.1, None).await?;
        input.write_all(b"typed\r").await?;
        let (stdout, stderr) = collect(output).await?;
        ensure!(
            stdout == "typed\r\n<typed>\r\n/dev/pts/0\r\nerr\r\n" && stderr.is_empty(),
            "{stdout:?}"
        );
        Ok(())
    })
}

fn replay(engine: &Engine) -> Result<()> {
    let script = "echo early; read line; echo late";
    let made = Created::new(engine, "stream-replay", &["--interactive"], script)?;
    let docker = engine.bollard()?;
    engine.wait(async {
        docker.start_container(&made.1, None).await?;
        let options = AttachContainerOptions { logs: true, ..everything(true) };
        let (mut output, mut input) = attach(&docker, &made.1, options).await?;
        let early = output.try_next().await?.context("the stream ended")?;
        ensure!(early.to_string() == "early\n", "{early:?}");
        input.write_all(b"\n").await?;
        let (stdout, _) = collect(output).await?;
        ensure!(stdout == "late\n", "{stdout}");
        Ok(())
    })
}

fn web_socket(engine: &Engine) -> Result<()> {
    let script = "read line; echo \"<$line>\"";
    let made = Created::new(engine, "stream-ws", &["--interactive", "--tty"], script)?;
    let docker = engine.bollard()?;
    engine.wait(async {
        docker.start_container(&made.1, None).await?;
        let attached = docker.attach_container_websocket(&made.1, Some(everything(true))).await?;
        let mut input = attached.input;
        input.write_all(b"typed\r").await?;
        input.flush().await?;
        let mut said = String::new();
        let mut output = attached.output;
        while !said.contains("<typed>\r\n") {
            said.push_str(&output.try_next().await?.context("the stream ended")?.to_string());
        }
        Ok(())
    })
}

fn exec(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "stream-exec", &[])?;
    let docker = engine.bollard()?;
    engine.wait(async {
        let options = CreateExecOptions {
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(vec!["sh", "-c", "cat; echo err >&2; exit 3"]),
            ..Default::default()
        };
        let id = docker.create_exec(&sleeper.name, options).await?.id;
        let StartExecResults::Attached { output, mut input } =
            docker.start_exec(&id, None::<StartExecOptions>).await?
        else {
            anyhow::bail!("not attached");
        };
        input.write_all(b"typed\n").await?;
        input.shutdown().await?;
        let (stdout, stderr) = collect(output).await?;
        ensure!(stdout == "typed\n" && stderr == "err\n", "{stdout} {stderr}");
        let ended = docker.inspect_exec(&id).await?;
        ensure!(ended.exit_code == Some(3) && ended.running == Some(false), "{ended:?}");
        Ok(())
    })
}

fn logs(engine: &Engine) -> Result<()> {
    let script = "echo first; read line; echo second";
    let made = Created::new(engine, "stream-logs", &["--interactive"], script)?;
    let docker = engine.bollard()?;
    engine.wait(async {
        let (_output, mut input) = attach(&docker, &made.1, everything(true)).await?;
        docker.start_container(&made.1, None).await?;
        let options = LogsOptionsBuilder::default().follow(true).stdout(true).stderr(true).build();
        let mut logs: Output = Box::pin(docker.logs(&made.1, Some(options)));
        let first = logs.try_next().await?.context("the stream ended")?;
        ensure!(first.to_string() == "first\n", "{first:?}");
        input.write_all(b"\n").await?;
        let (stdout, _) = collect(logs).await?;
        ensure!(stdout == "second\n", "{stdout}");
        Ok(())
    })
}

fn stats(engine: &Engine) -> Result<()> {
    let sleeper = Sleeper::start(engine, "stream-stats", &[])?;
    let docker = engine.bollard()?;
    engine.wait(async {
        let options = StatsOptionsBuilder::default().stream(true).build();
        let stats = docker.stats(&sleeper.name, Some(options)).take(2);
        let stats: Vec<_> = stats.try_collect().await?;
        let usage = |of: usize| stats[of].cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage;
        ensure!(usage(1) >= usage(0) && usage(0) > Some(0), "{stats:?}");
        let before = stats[1].precpu_stats.as_ref().and_then(|before| before.system_cpu_usage);
        ensure!(before > Some(0), "{stats:?}");
        Ok(())
    })
}

fn events(engine: &Engine) -> Result<()> {
    let docker = engine.bollard()?;
    let since = engine.now()?;
    let run = ["run", "--rm", "--name", "stream-events", "-l", "stream.events", "busybox", "true"];
    std::thread::scope(|scope| {
        let listener = scope.spawn(|| engine.wait(actions_until_destroyed(&docker, &since)));
        engine.text(&run)?;
        let actions = listener.join().map_err(|_| anyhow::anyhow!("the listener panicked"))??;
        ensure!(actions == ["create", "attach", "start", "die", "destroy"], "{actions:?}");
        Ok(())
    })
}

async fn actions_until_destroyed(docker: &Docker, since: &str) -> Result<Vec<String>> {
    let filters = HashMap::from([("label", vec!["stream.events"]), ("type", vec!["container"])]);
    let options = EventsOptionsBuilder::default().since(since).filters(&filters).build();
    let mut events = Box::pin(docker.events(Some(options)));
    let mut actions: Vec<String> = Vec::new();
    while actions.last().is_none_or(|last| last != "destroy") {
        let event = events.try_next().await?.context("the stream ended")?;
        actions.extend(event.action);
    }
    Ok(actions)
}

fn wait(engine: &Engine) -> Result<()> {
    let made = Created::new(engine, "stream-wait", &["--interactive", "--rm"], "read x; exit 4")?;
    let docker = engine.bollard()?;
    let path = |condition: &str| format!("/containers/{}/wait?condition={condition}", made.1);
    engine.wait(async {
        let at_once = engine.open(Method::POST, &path("not-running")).await?.answer().await?;
        ensure!(at_once.json()?["StatusCode"] == 0, "{at_once:?}");
        let (_output, mut input) = attach(&docker, &made.1, everything(true)).await?;
        // The heads of the answers come before the container ends, so nothing can be missed.
        let next = engine.open(Method::POST, &path("next-exit")).await?;
        let gone = engine.open(Method::POST, &path("removed")).await?;
        docker.start_container(&made.1, None).await?;
        input.write_all(b"\n").await?;
        for waiting in [next, gone] {
            let answer = waiting.answer().await?;
            ensure!(answer.status == 200 && answer.json()?["StatusCode"] == 4, "{answer:?}");
        }
        Ok(())
    })
}
