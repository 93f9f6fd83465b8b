//! What is at a path, in the words of Go's file modes.

use engine::containers::PathStat;
use engine_api::container::PathStat as ApiPathStat;

use crate::times;

/// The kernel's bits and Go's, for kinds of files.
const KINDS: [(u32, u32); 6] = [
    (0o040_000, 1 << 31),
    (0o120_000, 1 << 27),
    (0o060_000, 1 << 26),
    (0o010_000, 1 << 25),
    (0o140_000, 1 << 24),
    (0o020_000, 1 << 26 | 1 << 21),
];
/// The same for what is set besides the permissions.
const SPECIAL: [(u32, u32); 3] = [(0o4000, 1 << 23), (0o2000, 1 << 22), (0o1000, 1 << 20)];
const KIND: u32 = 0o170_000;

pub(crate) fn to_api(stat: &PathStat) -> ApiPathStat {
    ApiPathStat {
        name: stat.name.clone(),
        size: stat.size,
        mode: mode(stat.mode),
        mtime: times::rfc3339(stat.modified),
        link_target: stat.link_target.clone(),
    }
}

fn mode(kernel: u32) -> u32 {
    let kind = KINDS.iter().filter(|(kind, _)| kernel & KIND == *kind);
    let special = SPECIAL.iter().filter(|(bit, _)| kernel & bit != 0);
    kind.chain(special).fold(kernel & 0o777, |mode, (_, go)| mode | go)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_go() {
        for (kernel, go) in [
            (0o100_644, 0o644),
            (0o040_755, 0x8000_0000 | 0o755),
            (0o041_777, 0x8010_0000 | 0o777),
            (0o120_777, 0x0800_0000 | 0o777),
            (0o104_755, 0x0080_0000 | 0o755),
            (0o102_755, 0x0040_0000 | 0o755),
            (0o020_666, 0x0420_0000 | 0o666),
            (0o060_660, 0x0400_0000 | 0o660),
            (0o010_600, 0x0200_0000 | 0o600),
            (0o140_600, 0x0100_0000 | 0o600),
        ] {
            assert_eq!(mode(kernel), go, "{kernel:o}");
        }
    }
}
