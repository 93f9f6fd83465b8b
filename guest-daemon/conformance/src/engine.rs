//! One engine, through its socket.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::image;
use crate::program::{self, Finished};
use crate::request::{self, Answer, Opened};

/// No request and no command may take longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);

#[derive(Debug)]
pub(crate) struct Engine {
    /// For the names of checks.
    pub(crate) name: &'static str,
    socket: PathBuf,
    docker: PathBuf,
    config: TempDir,
    /// Where it keeps its files.
    pub(crate) data_root: String,
    runtime: tokio::runtime::Runtime,
}

impl Engine {
    /// The engine behind this socket, with the images that the checks use.
    pub(crate) fn new(name: &'static str, socket: PathBuf) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .context("starting a runtime")?;
        let docker = program::script("fetch-docker", &["forky"])?;
        let config = tempfile::tempdir()?;
        let data_root = String::new();
        let mut engine = Self { name, socket, docker, config, data_root, runtime };
        let info = engine.get("/info")?;
        engine.data_root = info["DockerRootDir"].as_str().unwrap_or_default().to_owned();
        for archive in [image::busybox()?, image::elaborate()?, image::spare()?] {
            engine.docker(&["load"]).with_input(archive).run(&engine.runtime)?.text()?;
        }
        Ok(engine)
    }

    /// The docker command.
    pub(crate) fn docker(&self, words: &[&str]) -> program::Program {
        let mut command = Command::new(&self.docker);
        command.args(words).env("DOCKER_CONFIG", self.config.path());
        command.env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        for other in ["DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONTEXT"] {
            command.env_remove(other);
        }
        program::Program::new(command)
    }

    /// Runs the docker command to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Result<Finished> {
        self.docker(words).run(&self.runtime)
    }

    /// The same with these bytes on its standard input.
    pub(crate) fn run_with(&self, words: &[&str], input: &[u8]) -> Result<Finished> {
        self.docker(words).with_input(input.to_vec()).run(&self.runtime)
    }

    /// Its standard output; fails unless it succeeded.
    pub(crate) fn text(&self, words: &[&str]) -> Result<String> {
        self.run(words)?.text()
    }

    /// One request outside any client's habits.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer> {
        self.request_text(method, path, body.map(ToString::to_string).unwrap_or_default())
    }

    /// The same with a body that need not be JSON.
    pub(crate) fn request_text(&self, method: Method, path: &str, body: String) -> Result<Answer> {
        self.wait(async { request::open(&self.socket, method, path, body).await?.answer().await })
    }

    /// A request whose answer has begun.
    pub(crate) async fn open(&self, method: Method, path: &str) -> Result<Opened> {
        request::open(&self.socket, method, path, String::new()).await
    }

    /// The JSON of a request that has to succeed.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let answer = self.request(Method::GET, path, None)?;
        ensure!(answer.status == 200, "GET {path}: {answer:?}");
        answer.json()
    }

    /// The engine's own clock, as its queries take it.
    pub(crate) fn now(&self) -> Result<String> {
        // dockerd gives all who ask at once one answer, which may have begun before this question.
        // The next one cannot.
        self.get("/info")?;
        let info = self.get("/info")?;
        let time: Timestamp = info["SystemTime"].as_str().context("no SystemTime")?.parse()?;
        Ok(format!("{}.{:09}", time.as_second(), time.subsec_nanosecond()))
    }

    /// bollard's client.
    pub(crate) fn bollard(&self) -> Result<bollard::Docker> {
        let socket = self.socket.to_str().context("a socket's path that is no text")?;
        let version = &bollard::ClientVersion { major_version: 1, minor_version: 51 };
        Ok(bollard::Docker::connect_with_unix(socket, LIMIT.as_secs(), version)?)
    }

    /// Waits for something asynchronous, not for ever.
    pub(crate) fn wait<T>(&self, task: impl Future<Output = Result<T>>) -> Result<T> {
        self.runtime
            .block_on(async { tokio::time::timeout(LIMIT, task).await.context("took too long")? })
    }
}
