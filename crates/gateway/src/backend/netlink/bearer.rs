//! What carries a link.

use std::fs;
use std::path::PathBuf;

use rtnetlink::packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage};

use crate::platform::{Bearer, Link, LinkId};

/// Links upon links upon links: no real stack is higher.
const MAX_LAYERS: usize = 8;

/// What sysfs knows about a network device beyond rtnetlink.
#[derive(Debug)]
pub(super) struct Sysfs {
    root: PathBuf,
}

impl Sysfs {
    pub(super) fn at(root: PathBuf) -> Self {
        Self { root }
    }

    fn device(&self, name: &str) -> PathBuf {
        self.root.join("sys/class/net").join(name)
    }

    /// Bits a second: `speed` is in Mbit/s, negative or an error where it is not known.
    fn speed(&self, name: &str) -> Option<u64> {
        let text = fs::read_to_string(self.device(name).join("speed")).ok()?;
        let megabits = u64::try_from(text.trim().parse::<i64>().ok()?).ok()?;
        (megabits > 0).then_some(megabits * 1_000_000)
    }

    fn device_type(&self, name: &str) -> Option<String> {
        let uevent = fs::read_to_string(self.device(name).join("uevent")).ok()?;
        uevent.lines().find_map(|line| line.strip_prefix("DEVTYPE=").map(str::to_owned))
    }

    fn is_wireless(&self, name: &str) -> bool {
        ["phy80211", "wireless"].iter().any(|mark| self.device(name).join(mark).exists())
    }
}

/// What a link is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Medium {
    Bearer(Bearer),
    /// It rides on another link.
    Upper,
    Other,
}

/// The links of a dump, ordered by id, with the bearers of virtual ones looked up below them.
pub(super) fn links(messages: &[LinkMessage], sysfs: &Sysfs) -> Vec<Link> {
    let parts: Vec<Part> = messages.iter().map(|message| Part::new(message, sysfs)).collect();
    let mut links: Vec<Link> = parts
        .iter()
        .map(|part| Link {
            id: part.id,
            name: part.name.to_owned(),
            bearer: bearer(part, &parts, MAX_LAYERS),
            running: part.flags.contains(LinkFlags::Up) && part.flags.contains(LinkFlags::LowerUp),
            loopback: part.flags.contains(LinkFlags::Loopback),
            speed: sysfs.speed(part.name),
        })
        .collect();
    links.sort_by_key(|link| link.id);
    links
}

/// The parts of a message that say what a link is.
struct Part<'a> {
    id: LinkId,
    name: &'a str,
    flags: LinkFlags,
    medium: Medium,
    /// The link it rides on (a VLAN's parent), when that is in this namespace.
    lower: Option<LinkId>,
    /// The link it is a member of (a bridge's port).
    controller: Option<LinkId>,
}

impl<'a> Part<'a> {
    fn new(message: &'a LinkMessage, sysfs: &Sysfs) -> Self {
        let (mut name, mut lower, mut controller, mut kind, mut elsewhere) = ("", None, None, None, false);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(it) => name = it.as_str(),
                LinkAttribute::Link(index) => lower = Some(LinkId(*index)),
                LinkAttribute::Controller(index) => controller = Some(LinkId(*index)),
                LinkAttribute::LinkNetNsId(_) => elsewhere = true,
                LinkAttribute::LinkInfo(infos) => {
                    kind =
                        infos.iter().find_map(|info| if let LinkInfo::Kind(kind) = info { Some(kind) } else { None });
                }
                _ => {}
            }
        }
        let lower = lower.filter(|_| !elsewhere);
        let medium = medium(message.header.link_layer_type, kind, elsewhere, name, sysfs);
        Self { id: LinkId(message.header.index), name, flags: message.header.flags, medium, lower, controller }
    }
}

fn medium(layer: LinkLayerType, kind: Option<&InfoKind>, elsewhere: bool, name: &str, sysfs: &Sysfs) -> Medium {
    if sysfs.is_wireless(name) {
        return Medium::Bearer(Bearer::Wlan);
    }
    match (layer, kind, sysfs.device_type(name).as_deref()) {
        (_, _, Some("wlan")) => Medium::Bearer(Bearer::Wlan),
        (_, _, Some("bluetooth")) => Medium::Bearer(Bearer::Bluetooth),
        // Which radio technology carries it only a modem manager knows.
        (_, _, Some("wwan")) => Medium::Other,
        (LinkLayerType::Ieee802154 | LinkLayerType::Sixlowpan, _, _) => Medium::Bearer(Bearer::Ieee802154),
        (LinkLayerType::Ether, None | Some(InfoKind::Veth | InfoKind::Dsa | InfoKind::Netkit), _) => {
            Medium::Bearer(Bearer::Ethernet)
        }
        // A container's end of the host's Ethernet.
        (LinkLayerType::Ether, Some(InfoKind::MacVlan | InfoKind::IpVlan), _) if elsewhere => {
            Medium::Bearer(Bearer::Ethernet)
        }
        (
            LinkLayerType::Ether,
            Some(
                InfoKind::Bridge
                | InfoKind::Bond
                | InfoKind::Team
                | InfoKind::Vlan
                | InfoKind::MacVlan
                | InfoKind::IpVlan
                | InfoKind::MacSec
                | InfoKind::Hsr,
            ),
            _,
        ) => Medium::Upper,
        _ => Medium::Other,
    }
}

fn bearer(part: &Part<'_>, parts: &[Part<'_>], layers: usize) -> Option<Bearer> {
    match part.medium {
        Medium::Bearer(bearer) => Some(bearer),
        Medium::Other => None,
        Medium::Upper => {
            let layers = layers.checked_sub(1)?;
            let below = |other: &&Part<'_>| Some(other.id) == part.lower || other.controller == Some(part.id);
            // A member with a carrier speaks for a bridge whose first port is empty.
            let (up, down): (Vec<_>, Vec<_>) =
                parts.iter().filter(below).partition(|other| other.flags.contains(LinkFlags::LowerUp));
            up.into_iter().chain(down).find_map(|other| bearer(other, parts, layers))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(index: u32, name: &str, layer: LinkLayerType, kind: Option<InfoKind>) -> LinkMessage {
        let mut message = LinkMessage::default();
        message.header.index = index;
        message.header.link_layer_type = layer;
        message.header.flags = LinkFlags::Up | LinkFlags::LowerUp;
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        message.attributes.extend(kind.map(|kind| LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)])));
        message
    }

    fn bearers(messages: &[LinkMessage], sysfs: &Sysfs) -> Vec<Option<Bearer>> {
        links(messages, sysfs).iter().map(|link| link.bearer).collect()
    }

    fn no_sysfs() -> Sysfs {
        Sysfs::at("/nonexistent".into())
    }

    #[test]
    fn virtual_links_have_the_bearer_of_the_link_below() {
        let ether = LinkLayerType::Ether;
        let mut port = message(2, "eth0", ether, None);
        port.attributes.push(LinkAttribute::Controller(3));
        let bridge = message(3, "br0", ether, Some(InfoKind::Bridge));
        let mut vlan = message(4, "br0.7", ether, Some(InfoKind::Vlan));
        vlan.attributes.push(LinkAttribute::Link(3));
        let empty = message(5, "br1", ether, Some(InfoKind::Bridge));
        let expected = [Some(Bearer::Ethernet), Some(Bearer::Ethernet), Some(Bearer::Ethernet), None];
        assert_eq!(bearers(&[vlan, empty, bridge, port], &no_sysfs()), expected);
    }

    #[test]
    fn a_circle_of_links_ends() {
        let mut one = message(1, "a", LinkLayerType::Ether, Some(InfoKind::Vlan));
        one.attributes.push(LinkAttribute::Link(2));
        let mut two = message(2, "b", LinkLayerType::Ether, Some(InfoKind::Vlan));
        two.attributes.push(LinkAttribute::Link(1));
        assert_eq!(bearers(&[one, two], &no_sysfs()), [None, None]);
    }

    #[test]
    fn loopback_tunnels_and_test_devices_carry_nothing() {
        let links = [
            message(1, "lo", LinkLayerType::Loopback, None),
            message(2, "tun0", LinkLayerType::None, Some(InfoKind::Tun)),
            message(3, "dummy0", LinkLayerType::Ether, Some(InfoKind::Dummy)),
            message(4, "ifb0", LinkLayerType::Ether, Some(InfoKind::Ifb)),
        ];
        assert_eq!(bearers(&links, &no_sysfs()), [None; 4]);
    }

    #[test]
    fn sysfs_tells_radios_and_speeds() {
        let root = tempfile::tempdir().unwrap();
        let device = |name: &str, files: &[(&str, &str)]| {
            let folder = root.path().join("sys/class/net").join(name);
            fs::create_dir_all(&folder).unwrap();
            for (file, text) in files {
                fs::write(folder.join(file), text).unwrap();
            }
            folder
        };
        fs::create_dir(device("wlan0", &[("uevent", "DEVTYPE=wlan\nINTERFACE=wlan0\n")]).join("phy80211")).unwrap();
        device("eth0", &[("speed", "1000\n"), ("uevent", "INTERFACE=eth0\n")]);
        device("eth1", &[("speed", "-1\n")]);
        device("bnep0", &[("uevent", "DEVTYPE=bluetooth\n")]);
        device("wwan0", &[("uevent", "DEVTYPE=wwan\n")]);
        let ether = LinkLayerType::Ether;
        let names = ["wlan0", "eth0", "eth1", "bnep0", "wwan0"];
        let messages: Vec<_> = (1..).zip(names).map(|(index, name)| message(index, name, ether, None)).collect();
        let links = links(&messages, &Sysfs::at(root.path().to_owned()));
        let expected =
            [Some(Bearer::Wlan), Some(Bearer::Ethernet), Some(Bearer::Ethernet), Some(Bearer::Bluetooth), None];
        assert_eq!(links.iter().map(|link| link.bearer).collect::<Vec<_>>(), expected);
        let speeds = [None, Some(1_000_000_000), None, None, None];
        assert_eq!(links.iter().map(|link| link.speed).collect::<Vec<_>>(), speeds);
    }
}
