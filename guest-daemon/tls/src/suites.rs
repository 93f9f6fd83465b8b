//! What connections are encrypted with.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{CipherSuite, SupportedCipherSuite};

/// The suites, the fastest here first.
///
/// An emulated processor has the instructions for AES and needs twice as long for them as for
/// ChaCha20, which does without.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    let mut provider = ring::default_provider();
    if is_emulated() {
        provider.cipher_suites.sort_by_key(|suite| !is_chacha(suite));
    }
    Arc::new(provider)
}

/// Whether clients cannot know what is fastest here.
#[must_use]
pub fn is_emulated() -> bool {
    names_tcg(hypervisor())
}

/// How QEMU's emulator signs, in the leaf where hypervisors do.
fn names_tcg(signature: [u32; 3]) -> bool {
    signature.map(u32::to_le_bytes).concat() == b"TCGTCGTCGTCG"
}

#[cfg(target_arch = "x86_64")]
fn hypervisor() -> [u32; 3] {
    let leaf = std::arch::x86_64::__cpuid(0x4000_0000);
    [leaf.ebx, leaf.ecx, leaf.edx]
}

/// There is no such sign.
#[cfg(not(target_arch = "x86_64"))]
fn hypervisor() -> [u32; 3] {
    [0; 3]
}

fn is_chacha(suite: &SupportedCipherSuite) -> bool {
    matches!(
        suite.suite(),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemus_emulator_is_known_by_its_signature() {
        let signature = |text: &[u8; 12]| {
            [0, 4, 8].map(|at| u32::from_le_bytes(text[at..at + 4].try_into().unwrap()))
        };
        assert!(names_tcg(signature(b"TCGTCGTCGTCG")));
        assert!(!names_tcg(signature(b"KVMKVMKVM\0\0\0")));
        assert!(!names_tcg([0; 3]));
    }

    #[test]
    fn the_first_suite_is_the_fastest_here_and_none_is_missing() {
        let suites = provider().cipher_suites.clone();
        assert_eq!(is_chacha(&suites[0]), is_emulated());
        assert_eq!(suites.len(), ring::default_provider().cipher_suites.len());
    }
}
