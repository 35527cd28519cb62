//! Listening sockets, opened before any work starts so that a port in use is the first thing a process says.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use operator_core::settings::{Reader, Var, vars};
use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::TcpListener;

/// How many connections may wait to be accepted; the kernel's own usual limit.
const BACKLOG: i32 = 1024;

/// Where a server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenSettings {
    /// The address; `::` takes IPv4 too.
    pub bind: IpAddr,
    /// The port; 0 picks a free one.
    pub port: u16,
    /// The variable that sets the port, named when it is in use.
    pub port_var: &'static Var,
}

/// Why a socket could not be opened.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Another process has it.
    #[error("port {} of {} is in use: stop the process that has it, or set {variable} to another port", .address.port(), .address.ip())]
    InUse {
        /// The address and port.
        address: SocketAddr,
        /// The variable that sets the port.
        variable: &'static str,
    },
    /// Ports below 1024 usually need a privilege.
    #[error("port {} of {} may not be used by this user: set {variable} to 1024 or more", .address.port(), .address.ip())]
    Forbidden {
        /// The address and port.
        address: SocketAddr,
        /// The variable that sets the port.
        variable: &'static str,
    },
    /// The address is not one of this machine, or the system refuses for another reason.
    #[error("failed to listen on {address}: {source}; check OPERATOR_BIND and {variable}")]
    Refused {
        /// The address and port.
        address: SocketAddr,
        /// The variable that sets the port.
        variable: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ListenSettings {
    /// Reads `OPERATOR_BIND` and the port in `port_var`; what is wrong with them is left in `reader`.
    pub fn read(reader: &mut Reader<'_>, port_var: &'static Var, default_port: u16) -> Self {
        let port = reader.number(port_var, default_port, 0..=u16::MAX);
        Self { bind: bind(reader), port, port_var }
    }

    /// Opens the socket. Where the machine has no IPv6, `::` becomes `0.0.0.0`.
    ///
    /// # Errors
    /// [`ListenError`] with what to change. Must be called within a Tokio runtime.
    pub fn listen(&self) -> Result<TcpListener, ListenError> {
        let address = SocketAddr::new(self.bind, self.port);
        let listener = match open(address) {
            Err(error) if self.bind.is_unspecified() && self.bind.is_ipv6() && is_without_ipv6(&error) => {
                open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), self.port))
            }
            other => other,
        };
        listener.map_err(|error| self.explain(address, error))
    }

    fn explain(&self, address: SocketAddr, source: io::Error) -> ListenError {
        let variable = self.port_var.name;
        match source.kind() {
            io::ErrorKind::AddrInUse => ListenError::InUse { address, variable },
            io::ErrorKind::PermissionDenied => ListenError::Forbidden { address, variable },
            _ => ListenError::Refused { address, variable, source },
        }
    }
}

fn bind(reader: &mut Reader<'_>) -> IpAddr {
    let text = reader.text_or(&vars::OPERATOR_BIND, vars::OPERATOR_BIND.default);
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&text);
    bare.parse().unwrap_or_else(|_| {
        let problem = format!("`{text}` is not an IP address such as [::], 0.0.0.0 or 127.0.0.1");
        reader.problem(&vars::OPERATOR_BIND, problem);
        Ipv4Addr::LOCALHOST.into()
    })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // On Windows the option would let a second process take the port.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// The two ways a system without IPv6 shows itself: the family is unknown, or no interface has an address of it.
fn is_without_ipv6(error: &io::Error) -> bool {
    let unknown_family = if cfg!(target_os = "linux") { 97 } else { 47 };
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(unknown_family)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(vars: &[(&'static str, &'static str)]) -> (ListenSettings, Vec<String>) {
        let source: HashMap<&str, &str> = vars.iter().copied().collect();
        let mut reader = Reader::new(&source);
        let settings = ListenSettings::read(&mut reader, &vars::HEALTH_PORT, 9090);
        (settings, reader.finish().err().map(|bad| bad.problems).unwrap_or_default())
    }

    #[test]
    fn addresses_are_accepted_with_and_without_brackets() {
        for (given, address) in [("[::]", "::"), ("::1", "::1"), ("0.0.0.0", "0.0.0.0")] {
            let (settings, problems) = read(&[("OPERATOR_BIND", given)]);
            assert_eq!((settings.bind, problems.len()), (address.parse().unwrap(), 0), "{given}");
        }
        let (_, problems) = read(&[("OPERATOR_BIND", "everywhere")]);
        assert!(problems[0].contains("OPERATOR_BIND") && problems[0].contains("0.0.0.0"), "{problems:?}");
    }

    #[tokio::test]
    async fn the_default_address_takes_ipv4() {
        let (settings, _) = read(&[("HEALTH_PORT", "0")]);
        let listener = settings.listen().unwrap();
        let port = listener.local_addr().unwrap().port();
        let (accepted, connected) =
            tokio::join!(listener.accept(), tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)));
        assert!(accepted.is_ok() && connected.is_ok());
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_the_variable_to_change() {
        for holder in ["0.0.0.0:0", "127.0.0.1:0", "[::1]:0"] {
            let Ok(held) = std::net::TcpListener::bind(holder) else { continue };
            let port = held.local_addr().unwrap().port();
            let (settings, _) = read(&[]);
            let error = ListenSettings { port, ..settings }.listen().unwrap_err();
            assert!(matches!(error, ListenError::InUse { .. }), "{holder}: {error}");
            let text = error.to_string();
            assert!(text.contains(&port.to_string()) && text.contains("HEALTH_PORT"), "{text}");
        }
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused_with_both_variables() {
        let (settings, _) = read(&[("OPERATOR_BIND", "192.0.2.1"), ("HEALTH_PORT", "0")]);
        let text = settings.listen().unwrap_err().to_string();
        assert!(text.contains("192.0.2.1") && text.contains("OPERATOR_BIND"), "{text}");
    }
}
