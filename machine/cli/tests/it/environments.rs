//! `env`: what the shells that are installed here make of it, and what files and programs do.

use std::process::Command;

use crate::User;
use crate::fake::FakeDriver;

/// A path with everything in it that means something to some shell.
const NASTY: &str = "st  ore 'q' \"d\" $HOME `id` \\ !é*;&|#(x)";

/// The shell, how it reads a script, what evaluates the file `OUTPUT` in it, and how it forgets.
struct Dialect {
    program: &'static [&'static str],
    shell: &'static str,
    evaluate: &'static [&'static str],
}

const DIALECTS: [Dialect; 9] = [
    Dialect {
        program: &["sh", "-c"],
        shell: "sh",
        evaluate: &["eval \"$(cat OUTPUT)\"", "eval $(cat OUTPUT)"],
    },
    Dialect {
        program: &["bash", "--norc", "-c"],
        shell: "bash",
        evaluate: &["eval \"$(cat OUTPUT)\"", "eval $(cat OUTPUT)", "source OUTPUT"],
    },
    Dialect {
        program: &["dash", "-c"],
        shell: "dash",
        evaluate: &["eval \"$(cat OUTPUT)\"", "eval $(cat OUTPUT)"],
    },
    Dialect {
        program: &["zsh", "-fc"],
        shell: "zsh",
        evaluate: &["eval \"$(cat OUTPUT)\"", "eval $(cat OUTPUT)"],
    },
    Dialect {
        program: &["ksh", "-c"],
        shell: "ksh",
        evaluate: &["eval \"$(cat OUTPUT)\"", "eval $(cat OUTPUT)"],
    },
    Dialect {
        program: &["fish", "--no-config", "-c"],
        shell: "fish",
        evaluate: &["eval (cat OUTPUT)", "cat OUTPUT | source"],
    },
    Dialect {
        program: &["tcsh", "-fc"],
        shell: "tcsh",
        evaluate: &["set noglob; eval `cat OUTPUT`"],
    },
    Dialect {
        program: &["elvish", "-norc", "-c"],
        shell: "elvish",
        evaluate: &["eval (cat OUTPUT | slurp)"],
    },
    Dialect {
        program: &["xonsh", "--no-rc", "-c"],
        shell: "xonsh",
        // What it captures from a command is now and then empty, whatever the command.
        evaluate: &["execx(open('OUTPUT').read())"],
    },
];

async fn with_dev(storage: &str) -> User {
    let user = User::new(FakeDriver::good());
    let storage = user.directory.path().join(storage);
    let user = user.with("MACHINE_STORAGE_PATH", storage.to_str().unwrap());
    assert_eq!(user.runs(&["machine", "create", "dev"]).await.2, 0);
    user
}

/// The variables of `docker` after a script, one a line; `None` if there is no such shell.
fn after(user: &User, dialect: &Dialect, output: &str, evaluate: &str) -> Option<String> {
    // The file's path is plain; what it says is not.
    std::fs::write(user.directory.path().join("OUTPUT"), output).unwrap();
    let (program, arguments) = dialect.program.split_first().unwrap();
    let outcome = Command::new(program)
        .args(arguments)
        .arg(format!("{evaluate}\nenv"))
        .current_dir(user.directory.path())
        .env("HOME", user.directory.path())
        .env("DOCKER_HOST", "before")
        .env("NO_PROXY", "before")
        .output();
    let outcome = match outcome {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        outcome => outcome.unwrap(),
    };
    let complaints = String::from_utf8_lossy(&outcome.stderr);
    // tcsh knows no comments: its hint is a command, in which a command stands that is not here.
    let is_hint = |line: &str| line.contains("machine: Command not found");
    let complaints: Vec<_> = complaints.lines().filter(|line| !is_hint(line)).collect();
    assert!(complaints.is_empty(), "{program}: {evaluate}: {complaints:?}\n{output}");
    let mut seen: Vec<_> = String::from_utf8_lossy(&outcome.stdout)
        .lines()
        .filter(|line| line.starts_with("DOCKER_") || line.starts_with("NO_PROXY"))
        .map(str::to_owned)
        .collect();
    seen.sort_unstable();
    Some(seen.join("\n"))
}

#[tokio::test]
async fn every_shell_here_takes_the_variables_as_they_are() {
    let mut shells = Vec::new();
    for storage in ["plain", NASTY] {
        let user = with_dev(storage).await;
        let port = user.driver.started.lock().unwrap()[0].api_port;
        let root = user.directory.path().join(storage);
        let expected = format!(
            "DOCKER_CERT_PATH={}/machines/dev\nDOCKER_HOST=tcp://127.0.0.1:{port}\n\
             DOCKER_MACHINE_NAME=dev\nDOCKER_TLS_VERIFY=1\nNO_PROXY=127.0.0.1",
            root.display()
        );
        for dialect in &DIALECTS {
            let (output, _, code) =
                user.runs(&["machine", "env", "--no-proxy", "--shell", dialect.shell, "dev"]).await;
            assert_eq!(code, 0);
            for evaluate in dialect.evaluate {
                let Some(seen) = after(&user, dialect, &output, evaluate) else { continue };
                assert_eq!(seen, expected, "{}: {evaluate}\n{output}", dialect.shell);
                shells.push(dialect.shell);
            }
        }
    }
    assert!(shells.contains(&"sh"), "there is a sh on every system");
}

#[tokio::test]
async fn every_shell_here_forgets_the_variables() {
    let user = with_dev("plain").await;
    for dialect in &DIALECTS {
        let (output, _, code) =
            user.runs(&["machine", "env", "-u", "--no-proxy", "--shell", dialect.shell]).await;
        assert_eq!(code, 0);
        for evaluate in dialect.evaluate {
            let Some(seen) = after(&user, dialect, &output, evaluate) else { continue };
            assert_eq!(seen, "", "{}: {evaluate}\n{output}", dialect.shell);
        }
    }
}

#[tokio::test]
async fn programs_get_json() {
    let user = with_dev(NASTY).await;
    for shell in ["json", "nu"] {
        let (output, _, _) = user.runs(&["machine", "env", "--shell", shell, "dev"]).await;
        let json: serde_json::Value = serde_json::from_str(&output).unwrap();
        let path = user.directory.path().join(NASTY).join("machines/dev");
        assert_eq!(json["DOCKER_CERT_PATH"], path.to_str().unwrap());
        assert_eq!(json["DOCKER_TLS_VERIFY"], "1");
        let (output, _, _) = user.runs(&["machine", "env", "-u", "--shell", shell]).await;
        let _json: serde_json::Value = serde_json::from_str(&output).unwrap();
    }
}

#[tokio::test]
async fn files_of_variables_have_nothing_but_variables() {
    let user = with_dev("plain").await;
    for shell in ["dotenv", "github"] {
        assert_eq!(
            user.types(&format!("machine env --shell {shell} dev")).await,
            "1| DOCKER_TLS_VERIFY=1\n1| DOCKER_HOST=tcp://127.0.0.1:PORT\n\
             1| DOCKER_CERT_PATH=DIR/plain/machines/dev\n1| DOCKER_MACHINE_NAME=dev\nexit 0"
        );
    }
}
