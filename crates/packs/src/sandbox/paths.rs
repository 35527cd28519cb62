//! What every program may read besides its own folder and its pack's, and where programs are looked for.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::SandboxError;

/// Where programs are looked for unless the manifest passes `PATH` on, and the `PATH` that programs get.
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Programs and their libraries: read and execute.
pub(super) const PROGRAMS: [&str; 8] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/alternatives"];

/// What interpreters and libraries read about the machine: certificates, names, users, time, processors. Nothing of it
/// tells about other processes or holds a secret on an ordinary machine.
pub(super) const SYSTEM: [&str; 32] = [
    "/etc/ssl",
    "/etc/pki/tls",
    "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/hosts",
    "/etc/host.conf",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/passwd",
    "/etc/group",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/locale.alias",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/lsb-release",
    "/etc/debian_version",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
    "/sys/kernel/mm/transparent_hugepage",
];

/// Devices that hold nothing: read and write.
pub(super) const DEVICES: [&str; 5] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"];

/// The program called `name`: a path within `folder`, an absolute one, or a name to be found in `path`.
pub(super) fn find(name: &str, folder: &Path, path: &str) -> Result<PathBuf, SandboxError> {
    let missing = |path: String| SandboxError::NoProgram { program: name.to_owned(), path };
    if name.contains('/') {
        let program = folder.join(name);
        return if is_program(&program) { Ok(program) } else { Err(missing(folder.display().to_string())) };
    }
    let mut places = path.split(':').filter(|place| place.starts_with('/')).map(|place| Path::new(place).join(name));
    places.find(|place| is_program(place)).ok_or_else(|| missing(path.to_owned()))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Whether any user can go to `path` and read it.
pub(super) fn is_open_to_all(path: &Path) -> bool {
    let allows = |path: &Path, bits| path.metadata().is_ok_and(|metadata| metadata.mode() & bits == bits);
    allows(path, 0o005) && path.ancestors().skip(1).all(|above| above.as_os_str().is_empty() || allows(above, 0o001))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_by_name_or_by_its_path_in_the_pack() {
        assert!(find("sh", Path::new("/"), DEFAULT_PATH).unwrap().ends_with("sh"));
        assert_eq!(find("bin/sh", Path::new("/"), "").unwrap(), Path::new("/bin/sh"));
        for missing in ["no-such-program", "./no-such-program", "etc/passwd"] {
            let error = find(missing, Path::new("/"), DEFAULT_PATH).unwrap_err();
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
