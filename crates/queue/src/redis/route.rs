//! Which server of a cluster a command belongs on: that of its first key.

use super::Arg;
use crate::keys;

/// The slot of a command, or `None` for one that any server can answer.
pub(super) fn slot_of(name: &str, args: &[Arg]) -> Option<u16> {
    let position = match name {
        "CLIENT" | "CLUSTER" | "CONFIG" | "INFO" | "PING" | "SCAN" | "TIME" => return None,
        "XGROUP" | "XINFO" => 1,
        "XREAD" | "XREADGROUP" => 1 + args.iter().position(|arg| arg.text() == Some("STREAMS"))?,
        _ => 0,
    };
    Some(keys::slot(args.get(position)?.text()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_decides() {
        let args = |words: &[&str]| words.iter().map(|word| Arg::from(*word)).collect::<Vec<_>>();
        let cases = [
            ("HGET", args(&["bull:{q}:1", "data"])),
            ("XINFO", args(&["CONSUMERS", "bull:{q}:operator:history", "g"])),
            ("XREADGROUP", args(&["GROUP", "g", "c", "COUNT", "1", "STREAMS", "bull:{q}:events", ">"])),
        ];
        for (name, args) in cases {
            assert_eq!(slot_of(name, &args), Some(keys::slot("q")), "{name}");
        }
        assert_eq!(slot_of("CLIENT", &args(&["LIST"])), None);
        assert_eq!(slot_of("HGET", &[]), None);
    }
}
