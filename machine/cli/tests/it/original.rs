//! Called as `docker-machine`: what scripts written for it rely on.

use crate::User;
use crate::fake::FakeDriver;

#[tokio::test]
async fn progress_is_told_on_stdout_as_it_was() {
    let user = User::new(FakeDriver::good());
    insta::assert_snapshot!(user.types("docker-machine create -driver qemu dev").await, @r"
    1| Running pre-create checks...
    1| Creating machine...
    1| Waiting for machine to be running, this may take a few minutes...
    1| Docker is up and running!
    1| To see how to connect your Docker Client to the Docker Engine running on this virtual machine, run: docker-machine env dev
    exit 0
    ");
    insta::assert_snapshot!(user.types("docker-machine stop dev").await, @r#"
    1| Stopping "dev"...
    1| Machine "dev" was stopped.
    exit 0
    "#);
    insta::assert_snapshot!(user.types("docker-machine start dev").await, @r#"
    1| Starting "dev"...
    1| Waiting for machine to be running, this may take a few minutes...
    1| Machine "dev" was started.
    1| Started machines may have new IP addresses. You may need to re-run the `docker-machine env` command.
    exit 0
    "#);
    insta::assert_snapshot!(user.types("docker-machine restart dev").await, @r#"
    1| Restarting "dev"...
    1| Waiting for machine to be running, this may take a few minutes...
    1| Machine "dev" was restarted.
    1| Restarted machines may have new IP addresses. You may need to re-run the `docker-machine env` command.
    exit 0
    "#);
    insta::assert_snapshot!(user.types("docker-machine kill dev").await, @r#"
    1| Killing "dev"...
    1| Machine "dev" was killed.
    exit 0
    "#);
    insta::assert_snapshot!(user.types("docker-machine rm -f nope dev").await, @r#"
    1| Successfully removed dev
    2| Error removing host "nope": Docker machine "nope" does not exist. Use "docker-machine ls" to list machines. Use "docker-machine create" to add a new one.
    2| Can't remove "nope"
    exit 0
    "#);
}

#[tokio::test]
async fn what_is_evaluated_stays_alone_on_stdout() {
    let user = User::new(FakeDriver::good());
    user.types("docker-machine create dev").await;
    for command in ["env", "config", "url", "ip", "inspect", "status"] {
        let (out, err, code) = user.runs(&["docker-machine", command, "dev"]).await;
        assert!(!out.is_empty() && !out.contains("(dev)"), "{command}: {out}");
        assert_eq!((err.as_str(), code), ("", 0), "{command}");
    }
    let (out, _, _) = user.runs(&["docker-machine", "env", "dev"]).await;
    assert!(out.ends_with("# eval $(docker-machine env dev)\n"), "{out}");
}

#[tokio::test]
async fn versions_are_worded_as_they_were() {
    let user = User::new(FakeDriver::good());
    for line in ["docker-machine version", "docker-machine -v", "docker-machine --version"] {
        let (out, _, code) = user.runs(&line.split(' ').collect::<Vec<_>>()).await;
        let words: Vec<&str> = out.split_whitespace().collect();
        assert!(
            matches!(words[..], ["docker-machine", "version", version, "build", _]
            if version.ends_with(',')),
            "{out}"
        );
        assert_eq!(code, 0);
    }
}

#[tokio::test]
async fn the_environment_gives_what_flags_do_not() {
    let user = User::new(FakeDriver::good())
        .with("QEMU_MEMORY", "2GB")
        .with("QEMU_CPU_COUNT", "1")
        .with("QEMU_DISK_SIZE", "5000")
        .with("ENGINE_REGISTRY_MIRROR", "https://mirror.example")
        .with("MACHINE_DOCKER_INSTALL_URL", "https://install.example");
    user.types("docker-machine create dev").await;
    user.types("docker-machine create --qemu-memory 512MB other").await;
    let of = async |name: &str, what: &str| {
        let format = format!("{{{{.{what}}}}}");
        user.runs(&["machine", "inspect", "-f", &format, name]).await.0.trim_end().to_owned()
    };
    assert_eq!(of("dev", "Driver.Memory").await, "2048");
    assert_eq!(of("other", "Driver.Memory").await, "512");
    assert_eq!(of("dev", "Driver.CPU").await, "1");
    assert_eq!(of("dev", "Driver.DiskSize").await, "5000");
    assert_eq!(
        of("dev", "HostOptions.EngineOptions.RegistryMirror").await,
        "[https://mirror.example]"
    );
    assert_eq!(of("dev", "HostOptions.EngineOptions.InstallURL").await, "https://install.example");
}

#[tokio::test]
async fn a_file_describes_a_machine_and_flags_win_over_it() {
    let user = User::new(FakeDriver::good());
    let path = user.directory.path().join("machine.yaml");
    std::fs::write(&path, "name: dev\ncpus: 1\nmemory: 2GB\nengine:\n  labels: [a=b]\n").unwrap();
    let path = path.to_str().unwrap();
    let (_, err, code) = user.runs(&["machine", "create", "-f", path, "--memory", "512"]).await;
    assert_eq!(code, 0, "{err}");
    let format = "{{.Driver.CPU}} {{.Driver.Memory}} {{.HostOptions.EngineOptions.Labels}}";
    let (out, _, _) = user.runs(&["machine", "inspect", "-f", format, "dev"]).await;
    assert_eq!(out, "1 512 [a=b]\n");
    std::fs::write(path, "name: dev\ncolour: red\n").unwrap();
    let (_, err, code) = user.runs(&["machine", "create", "-f", path]).await;
    assert!(err.contains("unknown field `colour`") && err.contains("line 2"), "{err}");
    assert_eq!(code, 2);
}

#[tokio::test]
async fn debugging_tells_on_stderr_what_happens() {
    let user = User::new(FakeDriver::good());
    let (out, err, _) = user.runs(&["docker-machine", "-debug", "create", "dev"]).await;
    assert!(!out.contains("DBG"), "{out}");
    assert!(err.contains("DBG") && err.contains("machines are stored in"), "{err}");
    let user = user.with("MACHINE_DEBUG", "1");
    assert!(user.runs(&["machine", "status", "dev"]).await.1.contains("exit code 0"));
}
