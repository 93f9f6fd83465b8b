//! Both kinds of units, byte for byte, and words that need care.

use std::path::PathBuf;

use super::{Unit, launchd, systemd};

fn unit() -> Unit {
    Unit {
        machine: "dev".into(),
        program: PathBuf::from("/opt/my tools/machine"),
        storage: PathBuf::from("/home/u/100% \"$x\" & <co>"),
        variables: vec![("PATH".into(), "/usr/bin:/opt/a b/$bin".into())],
    }
}

#[test]
fn a_systemd_unit_starts_at_login_and_stops_at_logout() {
    insta::assert_snapshot!(systemd::text(&unit()), @r#"
    # Written by `machine autostart` for /home/u/100% "$x" & <co>
    [Unit]
    Description=Docker machine dev

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    Environment="PATH=/usr/bin:/opt/a b/$bin"
    ExecStart="/opt/my tools/machine" --storage-path "/home/u/100%% \"$$x\" & <co>" start dev
    ExecStop=-"/opt/my tools/machine" --storage-path "/home/u/100%% \"$$x\" & <co>" stop dev
    SuccessExitStatus=5
    TimeoutStartSec=180
    TimeoutStopSec=60

    [Install]
    WantedBy=default.target
    "#);
}

#[test]
fn a_launchd_agent_starts_at_login_and_leaves_the_machine_alone() {
    insta::assert_snapshot!(launchd::text(&unit()), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
    <!-- Written by `machine autostart` for /home/u/100% "$x" &amp; &lt;co&gt; -->
    <plist version="1.0">
    <dict>
      <key>Label</key>
      <string>machine.dev</string>
      <key>ProgramArguments</key>
      <array>
        <string>/opt/my tools/machine</string>
        <string>--storage-path</string>
        <string>/home/u/100% "$x" &amp; &lt;co&gt;</string>
        <string>start</string>
        <string>dev</string>
      </array>
      <key>EnvironmentVariables</key>
      <dict>
        <key>PATH</key>
        <string>/usr/bin:/opt/a b/$bin</string>
      </dict>
      <key>RunAtLoad</key>
      <true/>
      <key>AbandonProcessGroup</key>
      <true/>
    </dict>
    </plist>
    "#);
}
