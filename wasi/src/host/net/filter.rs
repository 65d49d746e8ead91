//! Which part of the network a guest may reach, where that is not all of it: the embedder's list of hosts and ports. What is not on it is
//! denied.
//!
//! A host is an address, a network of addresses, or a name. A name stands for the addresses that the host's own resolver gives for it when
//! the guest looks it up: only these may be reached then, on the ports of that entry. A name that resolves to the host itself, or to its
//! link (where clouds keep their credentials), is somebody's attempt to be let in where nobody meant them to, and finds nothing there,
//! unless an entry names such an address.

use ampoule::sync::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

/// The list of one guest. A clone is the same list.
#[derive(Clone, Debug, Default)]
pub struct Filter(Arc<List>);

#[derive(Debug, Default)]
struct List {
    rules: Vec<Rule>,
    found: Mutex<Found>,
}

/// What names stood for when they were looked up: each address with the rule that names the name, the oldest first.
type Found = VecDeque<(IpAddr, usize)>;

/// Addresses of names that are remembered; then the oldest is forgotten.
const MAX_FOUND: usize = 1024;

/// An entry: `HOST`, `HOST:PORT`, or `HOST:FIRST-LAST`. The host is `*`, a name, `*.` and a name, an address, or an address and the number
/// of bits that count, as in `10.0.0.0/8`. IPv6 addresses in front of a port are in brackets. Without ports, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    host: Host,
    ports: RangeInclusive<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Any,
    /// Addresses whose first bits are these.
    Network {
        address: IpAddr,
        bits: u8,
    },
    /// In lower case.
    Name(String),
    /// What ends with a dot and this.
    Below(String),
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRule(String);

impl fmt::Display for InvalidRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no host, `HOST:PORT` or `HOST:FIRST-LAST`, of which HOST is a name, an address or a network",
            self.0
        )
    }
}

impl std::error::Error for InvalidRule {}

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let invalid = || InvalidRule(text.to_owned());
        let (host, ports) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, ports) = rest.split_once(']').ok_or_else(invalid)?;
                let ports = if ports.is_empty() { None } else { Some(ports.strip_prefix(':').ok_or_else(invalid)?) };
                (Host::network(host).filter(|_| host.contains(':')), ports)
            }
            // With more than one colon it is an IPv6 address, behind which no port can stand.
            None if text.matches(':').count() > 1 => (Host::network(text), None),
            None => {
                let (host, ports) = text.split_once(':').map_or((text, None), |(host, ports)| (host, Some(ports)));
                (Host::network(host).or_else(|| Host::named(host)), ports)
            }
        };
        let ports = ports.map_or(Some(0..=u16::MAX), port_range).ok_or_else(invalid)?;
        Ok(Rule { host: host.ok_or_else(invalid)?, ports })
    }
}

fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    if text == "*" {
        return Some(0..=u16::MAX);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

impl Host {
    fn network(text: &str) -> Option<Host> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address = IpAddr::from_str(address).ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = bits.map_or(Some(most), |bits| bits.parse().ok()).filter(|&bits| bits <= most)?;
        // An IPv4 address that is written as an IPv6 one is an IPv4 address.
        let plain = address.to_canonical();
        if plain.is_ipv4() == address.is_ipv4() {
            return Some(Host::Network { address, bits });
        }
        Some(Host::Network { address: plain, bits: bits.checked_sub(96)? })
    }

    fn named(text: &str) -> Option<Host> {
        let is_name = |name: &str| {
            let is_label = |label: &str| {
                !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            };
            name.len() <= 253 && name.split('.').all(is_label)
        };
        // What looks like an address and is none would be a name that nobody meant.
        let like_address = |name: &str| name.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
        let name = text.strip_prefix("*.").unwrap_or(text);
        match text {
            "*" => Some(Host::Any),
            _ if !is_name(name) || like_address(name) => None,
            _ if name.len() < text.len() => Some(Host::Below(name.to_ascii_lowercase())),
            _ => Some(Host::Name(name.to_ascii_lowercase())),
        }
    }

    fn names(&self, name: &str) -> bool {
        // A dot at the end says that the name is a whole one.
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        match self {
            Host::Any => true,
            Host::Network { .. } => false,
            Host::Name(own) => name == *own,
            Host::Below(own) => {
                name.strip_suffix(own.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
        }
    }

    /// Whether it is an address of this host's, as far as that can be said without a resolver.
    fn has(&self, ip: IpAddr) -> bool {
        match *self {
            Host::Any => true,
            Host::Network { address, bits } => match (address, ip) {
                (IpAddr::V4(own), IpAddr::V4(ip)) => same_bits(own.to_bits().into(), ip.to_bits().into(), 32, bits),
                (IpAddr::V6(own), IpAddr::V6(ip)) => same_bits(own.to_bits(), ip.to_bits(), 128, bits),
                _ => false,
            },
            Host::Name(ref name) => name == "localhost" && ip.is_loopback(),
            Host::Below(_) => false,
        }
    }
}

/// Whether the first of so many bits are the same.
fn same_bits(a: u128, b: u128, len: u8, bits: u8) -> bool {
    bits == 0 || (a ^ b) >> (len - bits) == 0
}

/// Whether a name may stand for it that isn't known to be the host's own.
fn is_elsewhere(ip: IpAddr) -> bool {
    let of_link = match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(of_link || ip.is_loopback() || ip.is_unspecified() || ip.is_multicast())
}

impl Filter {
    /// The same list and one more entry; of what names stood for, nothing is remembered.
    #[must_use]
    pub fn with(&self, rule: Rule) -> Filter {
        let rules = self.0.rules.iter().cloned().chain([rule]).collect();
        Filter(Arc::new(List { rules, found: Mutex::default() }))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.rules.is_empty()
    }

    /// Whether this address may be connected to, or sent to.
    pub fn permits(&self, address: &SocketAddr) -> bool {
        let ip = address.ip().to_canonical();
        let on_port = |rule: &Rule| rule.ports.contains(&address.port());
        if self.0.rules.iter().any(|rule| on_port(rule) && rule.host.has(ip)) {
            return true;
        }
        let found = self.0.found.lock();
        found.iter().any(|&(known, rule)| known == ip && on_port(&self.0.rules[rule]))
    }

    /// Whether this name may be looked up.
    pub fn permits_name(&self, name: &str) -> bool {
        self.0.rules.iter().any(|rule| rule.host.names(name))
    }

    /// Notes what a name stands for: gives the addresses that may be reached on some port.
    pub fn found(&self, name: &str, addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        let rules = &self.0.rules;
        let naming: Vec<usize> = (0..rules.len()).filter(|&rule| rules[rule].host.names(name)).collect();
        let mut found = self.0.found.lock();
        let may_be_reached = |&ip: &IpAddr| {
            let ip = ip.to_canonical();
            let listed = rules.iter().any(|rule| rule.host.has(ip));
            if !naming.is_empty() && is_elsewhere(ip) {
                for &rule in &naming {
                    if !found.contains(&(ip, rule)) {
                        found.push_back((ip, rule));
                    }
                }
                while found.len() > MAX_FOUND {
                    found.pop_front();
                }
                return true;
            }
            listed
        };
        addresses.into_iter().filter(may_be_reached).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(rules: &[&str]) -> Filter {
        rules.iter().fold(Filter::default(), |filter, rule| filter.with(rule.parse().unwrap()))
    }

    fn permits(filter: &Filter, address: &str) -> bool {
        filter.permits(&address.parse().unwrap())
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_listed_is_denied() {
        for address in ["127.0.0.1:80", "[::1]:80", "8.8.8.8:53"] {
            assert!(!permits(&Filter::default(), address));
        }
        assert!(!Filter::default().permits_name("example.com"));
    }

    #[test]
    fn addresses_networks_and_ports_are_compared() {
        let listed = filter(&["10.1.0.0/16:80-90", "192.168.1.7", "[fd00::/8]:443", "::1", "1.2.3.4:5"]);
        for (address, expected) in [
            ("10.1.255.255:80", true),
            ("10.1.0.0:90", true),
            ("10.1.0.1:79", false),
            ("10.1.0.1:91", false),
            ("10.2.0.0:80", false),
            ("192.168.1.7:1", true),
            ("192.168.1.8:1", false),
            ("[fd12::1]:443", true),
            ("[fd12::1]:444", false),
            ("[fe00::1]:443", false),
            ("[::1]:9", true),
            ("1.2.3.4:5", true),
            ("1.2.3.4:6", false),
        ] {
            assert_eq!(permits(&listed, address), expected, "{address}");
        }
        assert!(permits(&filter(&["*:80"]), "9.9.9.9:80") && !permits(&filter(&["*:80"]), "9.9.9.9:81"));
        assert!(permits(&filter(&["0.0.0.0/0"]), "9.9.9.9:81") && !permits(&filter(&["0.0.0.0/0"]), "[::9]:81"));
    }

    #[test]
    fn an_ipv4_address_is_one_however_it_is_written() {
        let listed = filter(&["10.0.0.0/8:80"]);
        assert!(permits(&listed, "[::ffff:10.1.1.1]:80"));
        assert!(!permits(&listed, "[::ffff:11.1.1.1]:80"));
        assert!(permits(&filter(&["[::ffff:10.0.0.0/104]:80"]), "10.1.1.1:80"));
        // All of IPv6 is nothing of IPv4.
        assert!(!permits(&filter(&["::/0"]), "[::ffff:10.1.1.1]:80"));
    }

    #[test]
    fn a_name_stands_for_what_it_resolved_to_on_its_ports_alone() {
        let listed = filter(&["example.com:443", "*.example.org", "10.0.0.1"]);
        for (name, expected) in [
            ("example.com", true),
            ("EXAMPLE.com.", true),
            ("www.example.com", false),
            ("notexample.com", false),
            ("a.example.org", true),
            ("a.b.example.org", true),
            ("example.org", false),
            (".example.org", false),
            ("badexample.org", false),
            ("", false),
        ] {
            assert_eq!(listed.permits_name(name), expected, "{name}");
        }
        assert!(!permits(&listed, "93.184.216.34:443"), "nobody has looked it up");
        assert_eq!(listed.found("example.com", vec![ip("93.184.216.34")]), [ip("93.184.216.34")]);
        assert!(permits(&listed, "93.184.216.34:443") && !permits(&listed, "93.184.216.34:80"));
        assert!(permits(&listed, "[::ffff:93.184.216.34]:443"));
        // A name that is on no list has no part in it, whoever looked it up.
        assert_eq!(listed.found("evil.com", vec![ip("6.6.6.6"), ip("10.0.0.1")]), [ip("10.0.0.1")]);
        assert!(!permits(&listed, "6.6.6.6:443"));
        assert!(!permits(&filter(&["example.com:443"]), "93.184.216.34:443"), "another guest has not looked it up");
    }

    #[test]
    fn a_name_does_not_lead_to_the_host_itself() {
        let listed = filter(&["example.com"]);
        let own = ["127.0.0.1", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "224.0.0.1", "::ffff:127.0.0.1"];
        assert!(listed.found("example.com", own.map(ip).to_vec()).is_empty());
        assert!(own.iter().all(|&own| !listed.permits(&SocketAddr::new(ip(own), 80))));
        // But where that is said.
        let listed = filter(&["example.com:80", "127.0.0.1:80"]);
        assert_eq!(listed.found("example.com", vec![ip("127.0.0.1")]), [ip("127.0.0.1")]);
        let listed = filter(&["localhost:80"]);
        assert!(permits(&listed, "127.0.0.1:80") && permits(&listed, "[::1]:80") && !permits(&listed, "[::1]:81"));
        assert_eq!(listed.found("localhost", vec![ip("::1"), ip("6.6.6.6")]), [ip("::1"), ip("6.6.6.6")]);
    }

    #[test]
    fn only_so_many_addresses_are_remembered() {
        let listed = filter(&["example.com"]);
        for count in 0..3_000_u32 {
            listed.found("example.com", vec![IpAddr::V4(std::net::Ipv4Addr::from_bits((8 << 24) + count))]);
        }
        assert_eq!(listed.0.found.lock().len(), MAX_FOUND);
        assert!(!permits(&listed, "8.0.0.0:80") && permits(&listed, "8.0.11.183:80"));
    }

    #[test]
    fn texts_that_are_no_rules_are_refused() {
        for text in [
            "",
            ":80",
            "a b",
            "example.com:",
            "example.com:x",
            "example.com:80-",
            "example.com:90-80",
            "example.com:65536",
            "10.0.0.0/33",
            "10.0.0/8",
            "1.2.3",
            "1.2.3.4.5",
            "[::1",
            "[::1]80",
            "[10.0.0.1]:80",
            "[example.com]:80",
            "::1/129",
            "a..b",
            "*.",
            "*.*",
            "a.*",
            "**",
            "example.com:+80",
            "::ffff:1.2.3.4/64",
            "http://example.com",
        ] {
            assert_eq!(text.parse::<Rule>().unwrap_err(), InvalidRule(text.to_owned()));
        }
    }
}
