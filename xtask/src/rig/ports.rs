//! Free ports of the loopback address.
//!
//! Port 0 would give a port of the range that outgoing connections draw from. While a server of
//! ours is down for a test, a client's connection could then be given that very port, and the
//! server could not come back; so ports are taken from below that range.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{SystemTime, UNIX_EPOCH};

use super::RigError;

const FIRST: u16 = 20_000;
const LAST: u16 = 29_999;

/// So many ports that nobody listens on now.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>, RigError> {
    // Two rigs that start together begin at different places, so they seldom meet.
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    let span = u32::from(LAST - FIRST) + 1;
    let begin = time.wrapping_add(std::process::id().wrapping_mul(7919)) % span;
    let mut held = Vec::new();
    for step in 0..span {
        if held.len() == count {
            break;
        }
        let offset = u16::try_from((begin + step) % span).unwrap_or_default();
        // Held until all are found, so that no port is given twice.
        held.extend(TcpListener::bind((Ipv4Addr::LOCALHOST, FIRST + offset)));
    }
    let ports: Vec<u16> =
        held.iter().filter_map(|listener| listener.local_addr().ok()).map(|at| at.port()).collect();
    if ports.len() == count { Ok(ports) } else { Err(RigError::Ports { first: FIRST, last: LAST }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_distinct_and_below_the_range_of_outgoing_connections() {
        let ports = free_ports(6).unwrap();
        let mut distinct = ports.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 6);
        assert!(ports.iter().all(|port| (FIRST..=LAST).contains(port)));
        assert!(ports.iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()));
    }
}
