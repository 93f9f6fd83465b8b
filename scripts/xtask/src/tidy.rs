//! What no compiler checks: which crate may know which, how long files get, what things are called.

mod arrows;
mod files;

use std::path::Path;

use anyhow::{Result, bail};

/// Fails with every finding.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut findings = arrows::check(root)?;
    findings.extend(files::check(root)?);
    if !findings.is_empty() {
        bail!("{} findings:\n{}", findings.len(), findings.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        super::check(&crate::workspace_root()).unwrap();
    }
}
