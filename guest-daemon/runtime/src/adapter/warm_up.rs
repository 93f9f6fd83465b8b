//! What the first container would have to wait for, made ready while nothing else is to be done.

use nix::libc;

use super::NamespaceRuntime;

impl NamespaceRuntime {
    /// Begins that, and does not wait for it. To be called when the machine is ready: with
    /// emulation the time that one processor idles is not there for the others.
    pub fn warm_up(&self) {
        let this = self.clone();
        let begun = std::thread::Builder::new().name("warm-up".to_owned()).spawn(move || {
            // Nobody waits for the filter: until it is there, who needs it makes it himself. For
            // the starter others would wait, so it must not be slow.
            set_policy(libc::SCHED_IDLE);
            let capabilities = engine::containers::default_capabilities();
            if let Err(error) = this.kept.filters.get(None, &capabilities) {
                tracing::warn!(%error, "the default system call filter cannot be made");
            }
            set_policy(libc::SCHED_OTHER);
            if let Err(error) = this.starter.warm_up() {
                tracing::warn!(%error, "the starter does not start");
            }
        });
        if let Err(error) = begun {
            tracing::warn!(%error, "the first container will take longer");
        }
    }
}

/// Sets when this thread runs. It is only about time, so failing does no harm.
#[expect(unsafe_code, reason = "sched_setscheduler(2) has no safe wrapper")]
fn set_policy(policy: libc::c_int) {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the parameter lives until the call returns. As a system call it is about this
    // thread alone.
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, policy, &raw const parameter) };
}
