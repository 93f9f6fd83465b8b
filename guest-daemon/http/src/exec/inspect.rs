//! `GET /exec/{id}/json`.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use engine::exec::Exec;
use engine_api::exec::{ExecInspect, ProcessConfig};

use crate::error::HttpError;
use crate::extract::Call;
use crate::reply::{self, Reply};

pub(crate) async fn inspect(call: Call) -> Result<Reply, HttpError> {
    Ok(reply::ok(&to_api(call.engine().exec.inspect(&call.name)?)))
}

fn to_api(exec: Exec) -> ExecInspect {
    let request = exec.request;
    let mut words = request.cmd.into_iter();
    ExecInspect {
        id: exec.id,
        running: exec.running,
        exit_code: exec.exit_code,
        process_config: ProcessConfig {
            tty: request.tty,
            entrypoint: words.next().unwrap_or_default(),
            arguments: words.collect(),
            privileged: request.privileged,
            user: request.user,
        },
        open_stdin: request.attach_stdin,
        open_stderr: request.attach_stderr,
        open_stdout: request.attach_stdout,
        can_remove: exec.can_remove,
        container_id: exec.container,
        detach_keys: BASE64_STANDARD.encode(exec.detach_keys),
        pid: exec.pid,
    }
}

#[cfg(test)]
mod tests {
    use engine::exec::CreateExec;

    use super::*;

    #[test]
    fn the_exit_code_is_null_until_it_ended() {
        let request =
            CreateExec { cmd: vec!["echo".to_owned(), "hi".to_owned()], ..CreateExec::default() };
        let mut exec = Exec { id: "e".to_owned(), running: true, request, ..Exec::default() };
        let document = serde_json::to_value(to_api(exec.clone())).unwrap();
        assert!(document["ExitCode"].is_null());
        assert_eq!(document["ProcessConfig"]["entrypoint"], "echo");
        assert_eq!(document["ProcessConfig"]["arguments"][0], "hi");
        assert_eq!(document["ProcessConfig"].get("user"), None);
        assert_eq!(document["DetachKeys"], "");
        exec.detach_keys = vec![16, 17];
        assert_eq!(serde_json::to_value(to_api(exec.clone())).unwrap()["DetachKeys"], "EBE=");
        exec.exit_code = Some(0);
        assert_eq!(serde_json::to_value(to_api(exec)).unwrap()["ExitCode"], 0);
    }
}
