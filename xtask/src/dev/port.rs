//! Ports of this machine: the usual one when it is free, some free one otherwise.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};

use crate::failure::{Failure, Result};

/// `preferred` if nothing listens there, else a port the system picks.
///
/// Someone else may take the port before the process it is meant for; that process then fails and says so.
pub(super) fn usual_or_free(what: &str, preferred: u16) -> Result<u16> {
    if is_free(preferred) {
        return Ok(preferred);
    }
    let port = free()?;
    println!("   port {preferred} is taken: {what} listens on {port}");
    Ok(port)
}

/// A port the system picks.
pub(super) fn free() -> Result<u16> {
    let picked = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    picked.map(|address| address.port()).map_err(|error| Failure::answer("failed to find a free port", error))
}

/// Whether both address families are free; a machine without IPv6 has nothing listening there.
fn is_free(port: u16) -> bool {
    let taken = |error: std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    let v4 = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).map(drop);
    let v6 = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).map(drop);
    v4.is_ok() && !v6.is_err_and(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_not_given_away() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken = holder.local_addr().unwrap().port();
        assert_ne!(usual_or_free("it", taken).unwrap(), taken);
    }
}
