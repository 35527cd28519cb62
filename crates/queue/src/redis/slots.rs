//! Which server of a cluster has which slots, as `CLUSTER SLOTS` tells it.

use fred::types::config::Server;

use super::Reply;

/// The slots of one server, first and last included.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    first: u16,
    last: u16,
    server: Server,
}

/// All spans. Later ones outdo earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Slots(Vec<Span>);

impl Slots {
    /// Reads the answer that the server at `asked` gave; `None` when no slot has a server.
    pub(super) fn read(reply: Reply, asked: &Server) -> Option<Self> {
        let spans: Vec<Span> = reply.into_list().into_iter().filter_map(|span| read_span(span, asked)).collect();
        (!spans.is_empty()).then_some(Self(spans))
    }

    /// The server of `slot`.
    pub(super) fn server(&self, slot: u16) -> Option<&Server> {
        let holds = |span: &&Span| (span.first..=span.last).contains(&slot);
        self.0.iter().rev().find(holds).map(|span| &span.server)
    }

    /// Notes what a redirection told about one slot.
    pub(super) fn assign(&mut self, slot: u16, server: Server) {
        self.0.retain(|span| (span.first, span.last) != (slot, slot));
        self.0.push(Span { first: slot, last: slot, server });
    }

    /// Every server that has slots, once.
    pub(super) fn servers(&self) -> Vec<Server> {
        let mut servers: Vec<Server> = self.0.iter().map(|span| span.server.clone()).collect();
        servers.sort();
        servers.dedup();
        servers
    }
}

/// `[first, last, [host, port, id, [name, value, …]], replicas…]`
fn read_span(span: Reply, asked: &Server) -> Option<Span> {
    let mut parts = span.into_list().into_iter();
    let mut bound = || u16::try_from(parts.next()?.int()?).ok();
    let (first, last) = (bound()?, bound()?);
    let mut primary = parts.next()?.into_list().into_iter();
    // A server that does not know its own address leaves it out: it is the one that was asked.
    let host = primary.next()?.text().filter(|host| !host.is_empty() && host != "?");
    let port = u16::try_from(primary.next()?.int()?).ok()?;
    let mut server = Server::new(host.unwrap_or_else(|| asked.host.to_string()), port);
    let more = primary.nth(1).map(Reply::into_texts).unwrap_or_default();
    let name = more.chunks_exact(2).find(|pair| pair[0] == "hostname").map(|pair| pair[1].clone());
    server.tls_server_name = name.map(Into::into).or_else(|| asked.tls_server_name.clone());
    Some(Span { first, last, server })
}

/// Where the server says that a slot is: `MOVED 3999 127.0.0.1:6381`, from the server at `asked`.
pub(super) fn moved(problem: &str, asked: &Server) -> Option<(u16, Server)> {
    let mut words = problem.strip_prefix("MOVED ")?.split(' ');
    let slot = words.next()?.parse().ok()?;
    let (host, port) = words.next()?.rsplit_once(':')?;
    let host = if host.is_empty() { &asked.host } else { host };
    let mut server = Server::new(host, port.parse().ok()?);
    server.tls_server_name.clone_from(&asked.tls_server_name);
    Some((slot, server))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_outdoes_what_was_known() {
        let asked = Server::new("a", 1);
        let mut slots = Slots(vec![Span { first: 0, last: 16_383, server: asked.clone() }]);
        let (slot, server) = moved("MOVED 7 ::1:7000", &asked).unwrap();
        slots.assign(slot, server.clone());
        assert_eq!((slots.server(7), slots.server(8)), (Some(&server), Some(&asked)));
        assert_eq!(server, Server::new("::1", 7000));
        slots.assign(7, asked.clone());
        assert_eq!(slots.servers(), std::slice::from_ref(&asked));
        assert_eq!(moved("MOVED 7 :7001", &asked), Some((7, Server::new("a", 7001))));
        assert_eq!(moved("ASK 7 b:7001", &asked), None);
    }
}
