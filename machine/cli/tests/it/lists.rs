//! `ls` with filters, templates and in other forms, and `inspect --format`.

use std::io::{Error, ErrorKind, Write};
use std::sync::{Arc, Mutex};

use machine_cli::{Ui, run};

use crate::User;
use crate::fake::FakeDriver;

/// `dev2` runs and is a swarm's master, `dev10` is stopped and of its swarm, `web` is elsewhere.
async fn with_three() -> User {
    let user = User::new(FakeDriver::good());
    for line in [
        "create --swarm-master --swarm-discovery token://1 --engine-label kind=db dev2",
        "create --swarm --swarm-discovery token://1 dev10",
        "create --driver none --url tcp://127.0.0.1:1 web",
        "stop dev10",
    ] {
        let seen = user.types(&format!("machine {line}")).await;
        assert!(seen.ends_with("exit 0"), "{line}: {seen}");
    }
    user
}

async fn names(user: &User, filters: &str) -> String {
    let line = format!("machine ls -q {filters}");
    let (out, err, code) = user.runs(&line.split_whitespace().collect::<Vec<_>>()).await;
    assert_eq!((err.as_str(), code), ("", 0), "{filters}");
    out.lines().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn filters_of_one_kind_add_and_those_of_different_kinds_restrict() {
    let user = with_three().await;
    for (filters, expected) in [
        ("", "dev2 dev10 web"),
        ("--filter state=running", "dev2 web"),
        ("--filter state=Stopped --filter state=Running", "dev2 dev10 web"),
        ("--filter driver=QEMU --filter state=Running", "dev2"),
        ("--filter driver=none", "web"),
        ("--filter name=^dev", "dev2 dev10"),
        ("--filter name=e[bw]|10", "dev10 web"),
        ("--filter label=kind=db", "dev2"),
        ("--filter label=kind=x", ""),
        ("--filter swarm=DEV2", "dev2 dev10"),
        ("--filter swarm=nope", ""),
    ] {
        assert_eq!(names(&user, filters).await, expected, "{filters}");
    }
}

#[tokio::test]
async fn templates_choose_what_is_printed() {
    let user = with_three().await;
    let format = async |template: &str| {
        let (out, err, code) = user.runs(&["machine", "ls", "--format", template]).await;
        format!("{out}{err}{code}")
    };
    assert_eq!(format("{{.Name}}").await, "dev2\ndev10\nweb\n0");
    assert_eq!(
        format("table {{.Name}}\\t{{.Swarm}}\\t{{.State}}").await,
        "NAME    SWARM           STATE\ndev2    dev2 (master)   Running\n\
         dev10   dev2            Stopped\nweb                     Running\n0"
    );
    assert_eq!(
        format("{{.Name}}{{if eq .State \"Stopped\"}} stopped{{end}}\\n").await,
        "dev2\n\ndev10 stopped\n\nweb\n\n0"
    );
    assert!(format("{{.Nope}}").await.starts_with(
        "error: template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope\n"
    ));
    let mistake = format("{{.Name").await;
    assert!(
        mistake.starts_with("error: template parsing error: template: :1: unclosed action\n")
            && mistake.ends_with('2'),
        "{mistake}"
    );
}

#[tokio::test]
async fn a_template_on_inspect_sees_the_whole_configuration() {
    let user = with_three().await;
    let inspect = async |template: &str, name: &str| {
        let (out, err, code) = user.runs(&["machine", "inspect", "-f", template, name]).await;
        format!("{out}{err}{code}")
    };
    assert_eq!(inspect("{{.Driver.IPAddress}} {{.DriverName}}", "dev2").await, "127.0.0.1 qemu\n0");
    assert_eq!(
        inspect("{{.Driver.URL}} {{.Nope}}", "web").await,
        "tcp://127.0.0.1:1 <no value>\n0"
    );
    assert_eq!(
        inspect("{{json .HostOptions.EngineOptions.Labels}}", "dev2").await,
        "[\"kind=db\"]\n0"
    );
    assert_eq!(
        inspect("{{prettyjson .HostOptions.EngineOptions.Labels}}", "dev2").await,
        "[\n    \"kind=db\"\n]\n0"
    );
    assert_eq!(inspect("{{.HostOptions.SwarmOptions.Master}}", "dev10").await, "false\n0");
}

#[tokio::test]
async fn a_machine_elsewhere_is_listed_like_the_others() {
    let user = with_three().await;
    insta::assert_snapshot!(user.types("machine ls --filter driver=none -o yaml").await, @r"
    1| - Active: false
    1|   DockerVersion: ''
    1|   DriverName: none
    1|   Error: 'Unable to query docker version: Cannot connect to the docker engine endpoint'
    1|   Name: web
    1|   State: Running
    1|   Swarm: ''
    1|   URL: tcp://127.0.0.1:1
    exit 0
    ");
    assert_eq!(user.types("machine url web").await, "1| tcp://127.0.0.1:1\nexit 0");
    assert_eq!(user.types("machine ls -o name --filter name=web").await, "1| web\nexit 0");
}

/// Takes lines as long as there is something to do after one, then is gone, like `head`.
struct Reader {
    seen: Arc<Mutex<Vec<u8>>>,
    /// What happens after so many more lines.
    next: Vec<(usize, Box<dyn FnOnce() + Send>)>,
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let Some((left, _)) = self.next.first_mut() else {
            return Err(Error::from(ErrorKind::BrokenPipe));
        };
        self.seen.lock().unwrap().extend(bytes);
        *left -= 1;
        if *left == 0 {
            let (_, happens) = self.next.remove(0);
            happens();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn watching_tells_what_is_and_then_what_changes_until_nobody_reads() {
    let user = with_three().await;
    let machines = user.directory.path().join("store/machines");
    let (vm, elsewhere) = (machines.join("dev2/vm"), machines.join("web"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let reader = Reader {
        seen: seen.clone(),
        next: vec![
            // Once all three are told, one stops and one goes.
            (
                3,
                Box::new(move || {
                    std::fs::remove_file(vm).unwrap();
                    std::fs::remove_dir_all(elsewhere).unwrap();
                }),
            ),
            // Once that is told, one starts, and nobody reads it.
            (2, Box::new(move || std::fs::write(machines.join("dev10/vm"), "running").unwrap())),
        ],
    };
    let ui = Ui::of_sinks(Arc::new(Mutex::new(reader)), Arc::new(Mutex::new(Vec::<u8>::new())));
    assert_eq!(run(user.world(&["machine", "ls", "--watch"], ui)).await, 0);
    let seen = String::from_utf8(seen.lock().unwrap().clone()).unwrap();
    let told: Vec<String> = seen
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |field: &str| line[field].as_str().unwrap().to_owned();
            format!("{} {} {}", text("Event"), text("Name"), text("State"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "present dev10 Stopped",
            "present dev2 Running",
            "present web Running",
            "removed web Running",
            "changed dev2 Stopped",
        ]
    );
}
