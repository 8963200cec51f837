//! The budget: what the configuration says, else what the surroundings allow (cgroup, rlimit, host).
//!
//! Owns: where the limits come from, and the reading of the control group's files. Must not know: what is done when a limit is passed.

use std::fs;
use std::path::{Path, PathBuf};

use super::level::{Limits, Resource};
use crate::config::PressureConfig;

/// The limits of all resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// By [`Resource::index`]; `None`: no limit is known.
    pub allowances: [Option<Allowance>; 3],
}

/// The limits of one resource, and where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The limits.
    pub limits: Limits,
    /// Who says so.
    pub origin: Origin,
}

/// Where limits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `pressure.*` of the configuration.
    Config,
    /// The control group, version 2 or 1.
    Cgroup,
    /// A limit of the process (`ulimit`).
    Rlimit,
    /// The memory of the machine.
    Host,
    /// The limits that suit a collector, within what the process may have.
    BuiltIn,
}

/// What the system allows this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Bytes that the control group, or the tightest of those around it, may have.
    pub cgroup_memory: Option<u64>,
    /// Bytes of address space (`RLIMIT_AS`).
    pub address_space: Option<u64>,
    /// Bytes of memory in the machine.
    pub host_memory: Option<u64>,
    /// Open descriptors (`RLIMIT_NOFILE`, soft).
    pub descriptors: Option<u64>,
}

/// Of what the surroundings allow: elevated over this share, critical over that one, percent.
const SHARE: (u64, u64) = (70, 85);
/// A collector normally holds some tens of descriptors; over these it leaks, however many it might have.
const DESCRIPTORS: Limits = Limits { soft: 500, hard: 800 };
/// A few sockets a venue, the pages' connections (64 at most), NATS.
const SOCKETS: Limits = Limits { soft: 100, hard: 200 };
/// A version 1 group without a limit shows a huge number, rounded to pages (kernel: `PAGE_COUNTER_MAX`).
const NO_LIMIT: u64 = 1 << 60;

// === impl Budget ===

impl Budget {
    /// The limits of this configuration in these surroundings.
    pub fn of(config: &PressureConfig, around: &Surroundings) -> Self {
        let configured = |limits: Option<Limits>| limits.map(|limits| Allowance { limits, origin: Origin::Config });
        Self {
            allowances: [
                configured(config.memory).or_else(|| memory(around)),
                configured(config.descriptors).or_else(|| Some(descriptors(around, DESCRIPTORS))),
                configured(config.sockets).or_else(|| Some(descriptors(around, SOCKETS))),
            ],
        }
    }

    /// The limits by [`Resource::index`].
    pub fn limits(&self) -> [Option<Limits>; 3] {
        self.allowances.map(|allowance| allowance.map(|allowance| allowance.limits))
    }

    /// The allowance of a resource.
    pub fn of_resource(&self, resource: Resource) -> Option<Allowance> {
        self.allowances.get(resource.index()).copied().flatten()
    }
}

fn memory(around: &Surroundings) -> Option<Allowance> {
    let known = [(around.cgroup_memory, Origin::Cgroup), (around.address_space, Origin::Rlimit), (around.host_memory, Origin::Host)].into_iter();
    let (most, origin) = known.filter_map(|(most, origin)| Some((most?, origin))).min_by_key(|(most, _)| *most)?;
    Some(Allowance { limits: share(most), origin })
}

fn descriptors(around: &Surroundings, suitable: Limits) -> Allowance {
    match around.descriptors.map(share) {
        Some(allowed) if allowed.hard < suitable.hard => {
            Allowance { limits: Limits { soft: allowed.soft.min(suitable.soft), hard: allowed.hard }, origin: Origin::Rlimit }
        }
        _ => Allowance { limits: suitable, origin: Origin::BuiltIn },
    }
}

const fn share(most: u64) -> Limits {
    Limits { soft: most / 100 * SHARE.0 + most % 100 * SHARE.0 / 100, hard: most / 100 * SHARE.1 + most % 100 * SHARE.1 / 100 }
}

// === impl Origin ===

impl Origin {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Cgroup => "cgroup",
            Self::Rlimit => "rlimit",
            Self::Host => "host",
            Self::BuiltIn => "built_in",
        }
    }
}

// === impl Surroundings ===

impl Surroundings {
    /// Of this process. What cannot be read is not known.
    pub fn read() -> Self {
        use rustix::process::{Resource as Rlimit, getrlimit};
        let info = rustix::system::sysinfo();
        let host_memory = info.totalram.saturating_mul(u64::from(info.mem_unit));
        Self {
            cgroup_memory: cgroup_memory(&fs::read_to_string("/proc/self/cgroup").unwrap_or_default(), Path::new("/sys/fs/cgroup")),
            address_space: getrlimit(Rlimit::As).current,
            host_memory: (host_memory > 0).then_some(host_memory),
            descriptors: getrlimit(Rlimit::Nofile).current,
        }
    }
}

/// The tightest memory limit from the group of `/proc/self/cgroup` up to the root of the hierarchy mounted at `root` (cgroups(7)).
/// In a cgroup namespace the path may not exist below the mount; the mount's own files then say it.
fn cgroup_memory(membership: &str, root: &Path) -> Option<u64> {
    let limits = membership.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if controllers.is_empty() {
            // Version 2; beside version 1 it is mounted one deeper.
            [root.to_path_buf(), root.join("unified")].iter().flat_map(|mount| ancestors(mount, path, "memory.max")).collect()
        } else if controllers.split(',').any(|controller| controller == "memory") {
            ancestors(&root.join("memory"), path, "memory.limit_in_bytes")
        } else {
            Vec::new()
        }
    });
    limits.min()
}

/// The limits in `file` of the group at `path` below `mount` and of all groups around it.
fn ancestors(mount: &Path, path: &str, file: &str) -> Vec<u64> {
    let group: PathBuf = mount.join(path.trim_start_matches('/'));
    let around = group.ancestors().take_while(|directory| directory.starts_with(mount));
    // Version 2 writes `max` for no limit, which is no number.
    let limit = |directory: &Path| fs::read_to_string(directory.join(file)).ok()?.trim().parse::<u64>().ok().filter(|bytes| *bytes < NO_LIMIT);
    around.filter_map(limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    fn config() -> PressureConfig {
        PressureConfig::default()
    }

    #[test]
    fn the_configuration_wins_then_the_tightest_of_what_surrounds() {
        let around = Surroundings { cgroup_memory: Some(100 * MB), address_space: None, host_memory: Some(4_000 * MB), descriptors: Some(1_024) };
        let of = |config: &PressureConfig, around: &Surroundings| Budget::of(config, around).of_resource(Resource::Memory);
        let allowance = |soft, hard, origin| Some(Allowance { limits: Limits { soft: soft * MB, hard: hard * MB }, origin });
        assert_eq!(of(&config(), &around), allowance(70, 85, Origin::Cgroup));
        assert_eq!(of(&config(), &Surroundings { cgroup_memory: None, ..around }), allowance(2_800, 3_400, Origin::Host));
        assert_eq!(of(&config(), &Surroundings { address_space: Some(50 * MB), ..around }).unwrap().origin, Origin::Rlimit);
        let configured = PressureConfig { memory: Some(Limits { soft: 8 * MB, hard: 9 * MB }), ..config() };
        assert_eq!(of(&configured, &around), allowance(8, 9, Origin::Config));
        assert_eq!(of(&config(), &Surroundings::default()), None);
    }

    #[test]
    fn few_descriptors_narrow_the_built_in_limits_and_many_do_not_widen_them() {
        let of = |descriptors| Budget::of(&config(), &Surroundings { descriptors, ..Surroundings::default() }).limits();
        assert_eq!(of(Some(20_000)), [None, Some(DESCRIPTORS), Some(SOCKETS)]);
        assert_eq!(of(Some(200)), [None, Some(Limits { soft: 140, hard: 170 }), Some(Limits { soft: 100, hard: 170 })]);
        assert_eq!(of(None), [None, Some(DESCRIPTORS), Some(SOCKETS)]);
    }

    #[test]
    fn the_tightest_group_around_counts_in_both_versions() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("a/b/memory.max", "max\n");
        write("a/memory.max", "300000000\n");
        write("memory/x/memory.limit_in_bytes", "9223372036854771712\n");
        write("memory/memory.limit_in_bytes", "500000000\n");
        let of = |membership: &str| cgroup_memory(membership, root.path());
        assert_eq!(of("0::/a/b\n"), Some(300_000_000));
        assert_eq!(of("4:memory:/x\n1:cpu,cpuacct:/x\n"), Some(500_000_000));
        assert_eq!(of("4:memory:/x\n0::/a/b\n"), Some(300_000_000));
        assert_eq!((of("0::/elsewhere\n"), of("2:cpu:/a\n"), of("")), (None, None, None));
        // In a namespace of its own: the path is the root.
        write("memory.max", "200000000\n");
        assert_eq!(of("0::/\n"), Some(200_000_000));
        assert_eq!(of("0::/not/below/this/mount\n"), Some(200_000_000));
    }
}
