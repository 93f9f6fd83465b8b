//! A table of mistakes: all that is said, and the exit code, under both names.

use crate::User;
use crate::fake::FakeDriver;

/// On a host with the machines `dev`, which runs, `old`, which is stopped, `half`, whose creation
/// was interrupted, `broken`, which cannot be read, and `web`, which is elsewhere.
const MISTAKES: [&str; 56] = [
    // The command line.
    "frobnicate",
    "stat",
    "ls --nosuch",
    "ls -nosuch",
    "create dev2 --nosuchflag",
    "--nosuch ls",
    "active extra",
    "url a b",
    "snapshot frobnicate",
    // create
    "create",
    "create a b",
    "create de_v",
    "create -- -dev",
    "create dev",
    "create --driver bogus x",
    "create --driver none x",
    "create --driver none --url http://x x",
    "create --url tcp://x:1 x",
    "create --memory lots x",
    "create --memory 16 x",
    "create --cpu-count 99 x",
    "create --disk-size 1 x",
    "create --accel magic x",
    "create --timeout 0 x",
    "create --engine-label nolabel x",
    "create --engine-env nothing x",
    "create --engine-opt --debug x",
    "create --engine-storage-driver btrfs x",
    "create --tls-san a/b x",
    "create --swarm --swarm-discovery nowhere x",
    "create -f nosuchfile",
    // Which machine.
    "status",
    "start nope",
    "stop ../../etc",
    "url nope",
    "rm",
    "rm nope",
    "rm dev nope -y",
    "rm --all dev",
    "env --shell nosuchshell dev",
    "env -u dev",
    "env dev old",
    // In which state.
    "start dev",
    "stop old",
    "kill old",
    "env old",
    "config old",
    "url old",
    "ip old",
    "version old",
    "ssh old true",
    "env half",
    "start web",
    "env --swarm dev",
    // Formats and filters.
    "ls --filter state",
    "inspect -f {{.Name dev",
];

async fn host() -> User {
    let user = User::new(FakeDriver::good());
    for line in [
        "create dev",
        "create old",
        "stop old",
        "create half",
        "stop half",
        "create broken",
        "stop broken",
        "create --driver none --url tcp://127.0.0.1:1 web",
    ] {
        let seen = user.types(&format!("machine {line}")).await;
        assert!(seen.ends_with("exit 0"), "{line}: {seen}");
    }
    let machines = user.directory.path().join("store/machines");
    std::fs::write(machines.join("half/.unfinished"), "").unwrap();
    std::fs::write(machines.join("broken/machine.yaml"), "version: 1\ncolour: red\n").unwrap();
    user
}

async fn told(program: &str) -> String {
    let user = host().await;
    let mut told = String::new();
    for mistake in
        MISTAKES.iter().chain(&["ls --filter foo=bar", "status broken", "inspect broken"])
    {
        let seen = user.types(&format!("{program} {mistake}")).await;
        // The help that some of them print is looked at elsewhere.
        let help =
            seen.find("1| ").map_or(0, |_| seen.lines().filter(|l| l.starts_with("1| ")).count());
        let seen: Vec<&str> =
            seen.lines().filter(|line| help < 5 || !line.starts_with("1| ")).collect();
        told.push_str(&format!("$ {program} {mistake}\n{}\n\n", seen.join("\n")));
    }
    told
}

#[tokio::test]
async fn every_mistake_is_told_with_its_reason_and_a_way_out() {
    insta::assert_snapshot!(told("machine").await);
}

#[tokio::test]
async fn docker_machine_says_what_it_always_said() {
    insta::assert_snapshot!(told("docker-machine").await);
}

#[tokio::test]
async fn no_mistake_is_a_success() {
    let user = host().await;
    for program in ["machine", "docker-machine"] {
        for mistake in MISTAKES {
            let seen = user.types(&format!("{program} {mistake}")).await;
            assert!(!seen.ends_with("exit 0"), "{program} {mistake}: {seen}");
        }
    }
}
