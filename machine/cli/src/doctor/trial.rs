//! A guest of a few instructions, to see whether an accelerator really runs one: that a device can
//! be opened says little.

use std::io::Write as _;
use std::path::Path;

use machine_qemu::probe::Found;

use super::output;

/// Tells QEMU to end with a status that nothing else ends with.
#[cfg(target_arch = "x86_64")]
mod guest {
    /// `mov al, 42; out 0xf4, al; hlt` where a processor begins, at the end of the firmware.
    pub(super) fn firmware() -> Vec<u8> {
        let mut firmware = vec![0; 64 * 1024];
        firmware.truncate(0xfff0);
        firmware.extend([0xb0, 0x2a, 0xe6, 0xf4, 0xf4]);
        firmware.resize(64 * 1024, 0);
        firmware
    }

    pub(super) const MACHINE: &[&str] =
        &["-M", "q35", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"];

    /// What the device makes of 42.
    pub(super) const STATUS: i32 = 85;
}

/// Powers off as the firmware interface PSCI has it.
#[cfg(target_arch = "aarch64")]
mod guest {
    /// `mov w0, #0x84000008; hvc #0; b .`
    pub(super) fn firmware() -> Vec<u8> {
        [0x5280_0100_u32, 0x72b0_8000, 0xd400_0002, 0x1400_0000]
            .iter()
            .flat_map(|instruction| instruction.to_le_bytes())
            .collect()
    }

    pub(super) const MACHINE: &[&str] = &["-M", "virt"];

    pub(super) const STATUS: i32 = 0;
}

/// Runs the guest; the answer says why it did not run.
pub(super) async fn run(found: &Found, accelerator: &str) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let mut firmware =
        tempfile::Builder::new().prefix("machine-doctor-").tempfile().map_err(told)?;
    firmware.write_all(&guest::firmware()).map_err(told)?;
    let cpu = if accelerator == "tcg" { "max" } else { "host" };
    let mut arguments = vec!["-nodefaults", "-no-user-config", "-display", "none", "-m", "16"];
    arguments.extend(["-accel", accelerator, "-cpu", cpu, "-no-reboot"]);
    arguments.extend(guest::MACHINE);
    arguments.extend(["-bios", text(firmware.path())?]);
    let output = output(&found.program, &arguments).await.map_err(told)?;
    if output.status.code() == Some(guest::STATUS) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let reason = said.lines().find(|line| line.contains("error") || line.contains("failed"));
    let reason = reason.or_else(|| said.lines().next());
    Err(reason.map_or_else(|| output.status.to_string(), |reason| brief(reason).to_owned()))
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| "the directory for temporary files has a strange name".to_owned())
}

/// Without the program's name, which is known.
fn brief(line: &str) -> &str {
    match line.split_once(": ") {
        Some((program, rest)) if program.contains("qemu") => rest,
        Some(_) | None => line,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_qemu_complains_of_is_told_without_its_name() {
        let line = "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69";
        assert_eq!(super::brief(line), "error: failed to set MSR 0x10a to 0x69");
        assert_eq!(super::brief("no such file"), "no such file");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_first_instruction_is_where_a_processor_begins() {
        let firmware = super::guest::firmware();
        assert_eq!(firmware.len(), 65_536);
        assert_eq!(firmware[0xfff0], 0xb0);
    }
}
