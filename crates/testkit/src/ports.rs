//! TCP ports that no other test of this machine is using, also between test binaries that run in parallel.
//! Ports lie below the range from which systems take ports for outgoing connections, so a server that was stopped
//! finds its port still free when it starts again.

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// How far this process has come on its walk through the range.
static STEPS: AtomicU16 = AtomicU16::new(0);

/// Leases of [`free_port`]: kept until the process ends, as the caller holds a bare number.
static KEPT: Mutex<Vec<PortLease>> = Mutex::new(Vec::new());

/// A port that belongs to the holder until this is dropped.
#[derive(Debug)]
pub struct PortLease {
    port: u16,
    /// Locked by whoever leases the port; the system lets go of it even when the process is killed.
    _lock: File,
}

impl PortLease {
    /// Leases a port on which nothing listens.
    ///
    /// # Panics
    ///
    /// When no port of the range is free.
    #[must_use]
    pub fn take() -> Self {
        // Each process starts its walk elsewhere, so that parallel test binaries seldom try the same port.
        let start = std::process::id().wrapping_mul(7919) % u32::from(COUNT);
        for _ in 0..COUNT {
            let step = u32::from(STEPS.fetch_add(1, Ordering::Relaxed));
            let offset = u16::try_from((start + step) % u32::from(COUNT)).expect("the offset is below COUNT");
            if let Some(lease) = Self::try_take(FIRST + offset) {
                return lease;
            }
        }
        panic!("no free port between {FIRST} and {}: stop the servers that use them", FIRST + COUNT - 1);
    }

    /// The port's number.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn try_take(port: u16) -> Option<Self> {
        let lock = lock_file(port);
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return None,
            Err(TryLockError::Error(error)) => panic!("failed to lock port {port}: {error}"),
        }
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(Self { port, _lock: lock })
    }
}

/// A port that stays reserved until this process ends, for a program that takes its port from its settings.
#[must_use]
pub fn free_port() -> u16 {
    let lease = PortLease::take();
    let port = lease.port();
    KEPT.lock().expect("no holder of the lock panics").push(lease);
    port
}

fn lock_file(port: u16) -> File {
    let folder: PathBuf = std::env::temp_dir().join("operator-testkit-ports");
    let path = folder.join(port.to_string());
    std::fs::create_dir_all(&folder)
        .and_then(|()| File::options().create(true).append(true).open(&path))
        .unwrap_or_else(|error| panic!("failed to open {}: {error}", path.display()))
}
